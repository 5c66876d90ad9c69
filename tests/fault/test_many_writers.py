"""Several processes at once: one entry for one content, one winner for one seq, nothing lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelspine.spine import open_spine

pytestmark = pytest.mark.usefixtures("either_ledger")

PREFACE = "import sys; from pathlib import Path; from modelspine import SpineError, open_spine\n"
REGISTER = PREFACE + "print(open_spine(Path(sys.argv[1])).registry.register(Path(sys.argv[2])).sha)"
PROMOTE = (
    PREFACE
    + """
registry = open_spine(Path(sys.argv[1])).registry
seq = registry.state().seq
print("ready", flush=True)
sys.stdin.readline()
try:
    print(registry.promote(sys.argv[2], "v1.0.0", expected=seq).sha)
except SpineError as error:
    print(int(error.code))
"""
)


def test_eight_processes_register_one_bundle(project: Path, make_bundle: Callable[..., Path]) -> None:
    bundle = make_bundle(1)
    workers = [
        subprocess.Popen([sys.executable, "-c", REGISTER, str(project), str(bundle)], stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    said = [worker.communicate(timeout=60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    assert len(set(said)) == 1
    with open_spine(project, readonly=True) as spine:
        assert [event.kind for event in spine.registry.events()] == ["opened", "registered"]
        assert spine.registry.verified(said[0].decode().strip())
        assert [path.name for path in spine.cache.folder.iterdir()] == [said[0].decode().strip()]


def test_two_promotions_on_one_seq_have_one_winner(project: Path, make_bundle: Callable[..., Path]) -> None:
    with open_spine(project) as spine:
        shas = [spine.registry.register(make_bundle(number)).sha for number in (1, 2)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTE, str(project), sha], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for sha in shas
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    said = [worker.communicate("go\n", timeout=60)[0].strip() for worker in workers]
    winners = [sha for sha in said if sha in shas]
    assert len(winners) == 1
    assert "4" in said
    with open_spine(project, readonly=True) as spine:
        assert spine.registry.state().semvers == {"v1.0.0": winners[0]}
        assert [event.kind for event in spine.registry.events()].count("promoted") == 1
