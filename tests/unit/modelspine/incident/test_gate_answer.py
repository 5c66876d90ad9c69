"""Answer 7 leads to the log of the run that let an entry in."""

from __future__ import annotations

import pytest

from modelspine.attestation.statement import Run
from modelspine.incident.gate_answer import log_command


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("https://github.com/o/tutor/actions/runs/123", "gh run view 123 --repo o/tutor --log"),
        ("https://github.com/o/tutor/actions/runs/123/attempts/2", "gh run view 123 --repo o/tutor --log"),
        ("https://git.example.org/o-p/tu.tor/actions/runs/1", "gh run view 1 --repo git.example.org/o-p/tu.tor --log"),
        (".spine/runs/123.log", "less ./.spine/runs/123.log"),
        ("logs of ci/123.log", "less './logs of ci/123.log'"),
        ("-la", "less ./-la"),
        ("+!id", "less './+!id'"),
        ("/etc/shadow", None),
        ("logs/../../../etc/passwd", None),
        ("log\x1b[2J", None),
        ("https://github.com@evil.example/o/r/actions/runs/1", None),
        ("https://github.com/-h/r/actions/runs/1", None),
        ("https://ci.example.org/job/123", None),
        ("https://github.com/o/t/actions/runs/123;reboot", None),
        ("", None),
    ],
)
def test_the_log_of_a_run_is_shown_by_a_command(url: str, command: str | None) -> None:
    assert log_command(Run(id="123", url=url)) == command
