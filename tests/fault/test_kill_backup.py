"""kill -9 of a backup and of a restore: no half archive under its name, no half project that says it is whole.

``SPINE_FAULTS=long`` runs 100 cycles instead of 6.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelspine.errors import SpineError
from modelspine.maintenance.backup import backup
from modelspine.maintenance.chain import read_chain
from modelspine.maintenance.restore import restore
from modelspine.settings import load
from modelspine.spine import open_spine

CYCLES = 100 if os.environ.get("SPINE_FAULTS") == "long" else 6
START = """
import sys
from pathlib import Path
from modelspine.maintenance import tar_archive as archive
from modelspine.maintenance import backup
from modelspine.maintenance import restore
from modelspine.settings import load
settings = load(environ={"SPINE_ROOT": sys.argv[1]})
file = Path(sys.argv[2])
quiet = lambda *_: None
print("ready", flush=True)
sys.stdin.readline()
"""
BACKUP = f"{START}backup.backup(settings, file, progress=quiet)\n"
RESTORE = f"{START}restore.restore(file, settings, progress=quiet)\n"
BROKEN = f"""{START}
from contextlib import contextmanager
@contextmanager
def in_place(path):
    with path.open("wb") as stream:
        writer = archive.Writer(stream)
        yield writer
        writer.close()
backup.created = in_place
backup.backup(settings, file, progress=quiet)
"""


def killed(program: str, root: Path, file: Path, wait: float) -> bool:
    """Run a program and kill it ``wait`` seconds in; whether it was still at work."""
    worker = subprocess.Popen(
        [sys.executable, "-c", program, str(root), str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    worker.stdin.write(b"go\n")
    worker.stdin.flush()
    time.sleep(wait)
    worker.kill()
    worker.communicate()
    return worker.returncode == -9


@pytest.fixture
def large(project: Path, make_bundle: Callable[..., Path]) -> Path:
    """A project whose backup takes a while: 40 MB of traces."""
    with open_spine(project) as spine:
        spine.registry.promote(spine.registry.register(make_bundle(1)).sha, "v1.0.0")
    with sqlite3.connect(project / ".spine" / "traces.db") as store:
        store.execute("CREATE TABLE filler AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c "
                      "WHERE n < 40) SELECT n, randomblob(1000000) AS body FROM c")  # fmt: skip
    store.close()
    return project


def test_a_killed_backup_has_no_name(large: Path, tmp_path: Path) -> None:
    rng = random.Random(3)
    hits = 0
    for number in range(CYCLES):
        file = tmp_path / f"{number}.tar"
        hit = killed(BACKUP, large, file, rng.uniform(0.0, 0.12))
        if file.exists():
            restore(file, load(environ={"SPINE_ROOT": str(tmp_path / f"back-{number}")}), progress=lambda *_: None)
        hits += hit and not file.exists()
    assert hits > 0, "no backup was killed while it worked"
    backup(load(environ={"SPINE_ROOT": str(large)}), tmp_path / "whole.tar", progress=lambda *_: None)


def test_the_harness_catches_a_backup_that_is_written_in_place(large: Path, tmp_path: Path) -> None:
    for wait in (0.05, 0.08, 0.12, 0.2):
        file = tmp_path / f"{wait}.tar"
        if killed(BROKEN, large, file, wait) and file.exists():
            with pytest.raises(SpineError):
                restore(file, load(environ={"SPINE_ROOT": str(tmp_path / f"b{wait}")}), progress=lambda *_: None)
            return
    pytest.fail("the broken twin was never caught half-way")


def test_a_killed_restore_is_whole_or_no_project(large: Path, tmp_path: Path) -> None:
    file = tmp_path / "kept.tar"
    taken = backup(load(environ={"SPINE_ROOT": str(large)}), file, progress=lambda *_: None)
    rng = random.Random(4)
    hits = 0
    for number in range(CYCLES):
        root = tmp_path / f"back-{number}"
        hit = killed(RESTORE, root, file, rng.uniform(0.0, 0.15))
        ledger = root / ".spine" / "ledger.db"
        if not ledger.exists():
            hits += hit
            continue
        chain = read_chain(f"sqlite:///{ledger}")
        assert (f"{chain.head.seq}:{chain.head.hash}", chain.problems) == (taken.ledger, ())
        with open_spine(root, readonly=True) as spine:
            assert spine.registry.verified(spine.registry.resolve("production"))
    assert hits > 0, "no restore was killed while it worked"
