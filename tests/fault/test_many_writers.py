"""Several processes at once: one entry for one content, one winner for one seq, nothing lost."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report
from modelspine.identity.bundle_cache import Cache
from modelspine.ledger.store import Ledger
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
        assert [path.name for path in spine.cache.folder.glob("[!.]*")] == [said[0].decode().strip()]


@pytest.mark.parametrize("alone", [True, False])
def test_of_two_registrations_with_other_evidence_the_recorded_one_is_the_stored_one(
    project: Path, make_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """One has stored its bundle and not recorded it yet, when the other comes; the twin does not wait."""
    if not alone:
        monkeypatch.setattr(Cache, "_alone", lambda _self: nullcontext())
    bundles = [make_bundle(1), make_bundle(2)]
    for file in bundles[0].iterdir():
        if file.name != "eval_report.json":
            shutil.copy(file, bundles[1])
    (bundles[1] / "eval_report.json").write_text(json.dumps(eval_report(90, 100)))
    spines = [open_spine(project), open_spine(project)]
    stored, both, done = threading.Event(), threading.Event(), threading.Event()
    append, threads = Ledger.append, []

    def slow(ledger: Ledger, *args: Any, **more: Any) -> Any:
        """The first one records after the second has stored, if that happens at all; the second after the first."""
        first = ledger is spines[0].ledger
        (stored if first else both).set()
        (both if first else done).wait(1.0)
        try:
            return append(ledger, *args, **more)
        finally:
            done.set()

    monkeypatch.setattr(Ledger, "append", slow)
    for spine, bundle in zip(spines, bundles, strict=True):
        threads.append(threading.Thread(target=spine.registry.register, args=(bundle,)))
        threads[-1].start()
        assert stored.wait(30)
    for thread in threads:
        thread.join()
    (entry,) = spines[0].registry.list()
    recorded = spines[0].registry.state().entries[entry.sha].registered.body["evidence"]["eval_report"]
    kept = (spines[0].cache.path(entry.sha) / "eval_report.json").read_bytes()
    assert (hashlib.sha256(kept).hexdigest() == recorded) == alone
    for spine in spines:
        spine.close()


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
