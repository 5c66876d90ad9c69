"""A route asks the gate: an entry that failed its newest run, or could not be compared, gets no learner's traffic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report, write_baseline, write_bundle
from cli_world import check_refused, run
from modelspine.release.eligibility import denied, route_denied
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]
WHY = ("--reason", "x")
FORWARD = (("single", "v0.2.0"), ("ab", "v0.2.0"), ("canary", "v0.2.0", "--weight", "100"))


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """A dev ledger with v0.1.0 in production and v0.2.0 promoted before anybody gated it."""
    monkeypatch.chdir(project)
    write_baseline(project)
    with open_spine(project) as spine:
        for number, k in ((1, 95), (2, 80)):
            sha = spine.registry.register(write_bundle(project / "made" / str(number), number, k=k)).sha
            spine.registry.promote(sha, f"v0.{number}.0", reason="x")
    return project


def gate(capsys: Capture, ref: str, code: int, *words: str) -> None:
    assert run(capsys, "gate", ref, *words).code == code


def last(root: Path) -> Any:
    with open_spine(root, readonly=True) as spine:
        return spine.registry.events()[-1]


def not_comparable(root: Path, ref: str) -> tuple[str, ...]:
    """A report of the entry on other items, as words for the gate."""
    with open_spine(root, readonly=True) as spine:
        sha = spine.registry.resolve(ref)
    (root / "other.json").write_text(json.dumps(eval_report(95, 100, entry_sha=sha, decoding={"method": "beam"})))
    return "--report", "other.json"


@pytest.mark.parametrize("words", FORWARD)
@pytest.mark.parametrize("result", ["fail", "error"])
def test_no_route_to_what_the_gate_refused(here: Path, capsys: Capture, words: tuple[str, ...], result: str) -> None:
    more = not_comparable(here, "v0.2.0") if result == "error" else ()
    gate(capsys, "v0.2.0", {"fail": 1, "error": 2}[result], *more)
    assert (last(here).kind, last(here).body["result"]) == ("gated", result)
    refused = run(capsys, "route", *words, *WHY)
    check_refused(refused, 1)
    assert {"fail": "failed the gate at #", "error": "the gate could not compare"}[result] in refused.err
    assert "--override-gate" in refused.err
    done = run(capsys, "route", *words, *WHY, "--override-gate")
    assert done.code == 0
    assert last(here).body["override"] is True
    assert "gate overridden (dev)" in run(capsys, "history", "--limit", "1").out
    assert run(capsys, "verify").code == 0


def test_a_pass_or_no_run_at_all_needs_no_override(here: Path, capsys: Capture) -> None:
    assert run(capsys, "route", "canary", "v0.2.0", *WHY).code == 0
    assert run(capsys, "route", "abort", *WHY).code == 0
    assert run(capsys, "release", "v0.2.0", *WHY).code == 0
    gate(capsys, "v0.2.0", 1)
    write_baseline(here, k=80)
    with open_spine(here) as spine:
        spine.routing.registry.gated(
            spine.registry.resolve("v0.2.0"), result="pass", report=str(last(here).body["report"]),
            baseline=str(last(here).body["baseline"]), stable=None,
        )  # fmt: skip
    assert run(capsys, "route", "single", "v0.2.0", *WHY, "--override-gate").code == 0
    assert "override" not in last(here).body, "there was nothing to override"


def test_a_shadow_a_rollback_and_staying_need_none(here: Path, capsys: Capture) -> None:
    """No learner sees a shadow, an operator in trouble must be able to go back, and what is in production is there."""
    gate(capsys, "v0.2.0", 1)
    assert run(capsys, "route", "shadow", "v0.2.0", *WHY).code == 0
    assert run(capsys, "route", "single", "v0.2.0", *WHY, "--override-gate").code == 0
    write_baseline(here, k=100)
    gate(capsys, "v0.1.0", 1)
    assert run(capsys, "route", "canary", "v0.1.0", *WHY).code == 1
    assert run(capsys, "route", "shadow", "v0.1.0", *WHY).code == 0
    assert run(capsys, "route", "single", "v0.2.0", *WHY).code == 0, "it is in production"
    assert run(capsys, "rollback", "v0.1.0", *WHY).code == 0


def test_a_rollout_does_not_climb_after_its_entry_failed(here: Path, capsys: Capture) -> None:
    assert run(capsys, "route", "canary", "v0.2.0", "--weight", "1000", *WHY).code == 0
    gate(capsys, "v0.2.0", 1)
    for words in (("--weight", "2000"), ()):
        refused = run(capsys, "route", "advance", *words, *WHY)
        check_refused(refused, 1)
        assert "failed the gate" in refused.err
    with open_spine(here, readonly=True) as spine:
        assert "failed the gate" in route_denied(spine.registry.state())["advance"]
    assert run(capsys, "route", "advance", "--weight", "500", *WHY).code == 0, "less traffic is always allowed"
    assert run(capsys, "route", "advance", "--weight", "2000", *WHY, "--override-gate").code == 0
    assert last(here).body["override"] is True
    assert run(capsys, "route", "abort", *WHY).code == 0


def test_a_rollout_that_was_begun_with_an_override_goes_on(here: Path, capsys: Capture) -> None:
    gate(capsys, "v0.2.0", 1)
    assert run(capsys, "route", "canary", "v0.2.0", *WHY, "--override-gate").code == 0
    assert run(capsys, "route", "advance", *WHY).code == 0


def test_what_the_console_asks_says_so_too(here: Path, capsys: Capture) -> None:
    gate(capsys, "v0.2.0", 1)
    with open_spine(here, readonly=True) as spine:
        state = spine.registry.state()
        refused = denied(state, state.resolve("v0.2.0"), "dev")
    assert {"route", "canary"} <= {verb for verb, why in refused.items() if "failed the gate" in why}
    assert "shadow" not in refused


@pytest.mark.parametrize("words", [*FORWARD, ("advance",)])
def test_an_override_is_no_way_in_prod(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    if words == ("advance",):
        assert run(capsys, "route", "canary", "v0.2.0", *WHY).code == 0
    gate(capsys, "v0.2.0", 1)
    monkeypatch.setenv("SPINE_ENV", "prod")
    refused = run(capsys, "route", *words, *WHY, "--override-gate")
    check_refused(refused, 1)
    assert "only in a dev ledger" in refused.err
    plain = run(capsys, "route", *words, *WHY)
    check_refused(plain, 1)
    assert "--override-gate" not in plain.err


def test_an_entry_that_could_not_be_compared_is_not_promoted(
    here: Path, capsys: Capture, make_bundle: Callable[..., Path]
) -> None:
    with open_spine(here) as spine:
        sha = spine.registry.register(make_bundle(7)).sha
    gate(capsys, sha, 2, *not_comparable(here, sha))
    refused = run(capsys, "promote", sha, "--semver", "v0.7.0", *WHY)
    check_refused(refused, 1)
    assert "so its quality is unknown" in refused.err
    gate(capsys, sha, 0)
    assert run(capsys, "promote", sha, "--semver", "v0.7.0", *WHY).code == 0
