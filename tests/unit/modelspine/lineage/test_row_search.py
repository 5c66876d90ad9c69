"""A search answers, or is killed: no pattern holds a process up."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cli_world import World, make_world, run
from modelspine.errors import BadInput, Damaged
from modelspine.lineage import corpora as corpus
from modelspine.lineage.row_search import Source, TooSlowError, matching, search
from modelspine.spine import open_spine

ENDLESS = "(a+)+$"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    lines = [f"row {n} é" for n in range(30)] + ["a" * 60 + "!", "\u2028 within", "bad \udcff"]
    file.write_bytes("\r\n".join(lines).encode("utf-8", "surrogateescape"))
    return file


@pytest.mark.parametrize("pattern", ["row 2", "é$", "(?!)", "", "within", r"\Abad"])
def test_another_process_finds_the_same(pattern: str, rows: Path) -> None:
    found = matching([Source(str(rows))], pattern, 5)
    assert found == json.loads(json.dumps(search([Source(str(rows))], pattern, 5)))
    assert found["files"][0]["sha256"] == hashlib.sha256(rows.read_bytes()).hexdigest()
    assert found["rows"] == 33


def test_a_pattern_that_never_ends_is_killed(rows: Path) -> None:
    with pytest.raises(TooSlowError, match="stopped after"):
        matching([Source(str(rows))], ENDLESS, 5, patience=0.3)


def test_a_file_that_is_gone_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="rows"):
        matching([Source(str(tmp_path / "rows"))], "x", 1)


@pytest.fixture
def world(tmp_path: Path, echo: None) -> World:
    return make_world(tmp_path / "world")


def test_the_command_says_what_to_do(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = corpus.matching

    def hurried(sources: list[Source], pattern: str, limit: int, *, patience: float) -> dict[str, Any]:
        assert patience == corpus.PATIENCE
        return real(sources, pattern, limit, patience=0.3)

    monkeypatch.setattr(corpus, "matching", hurried)
    done = run(capsys, "corpus", "grep", world.loud, r"(\S+\s?)+\d{9}$", root=world.root)
    assert (done.code, done.out) == (2, "")
    assert "backtrack without end" in done.err
    assert "simplify" in done.err


def test_a_changed_row_is_found_by_a_search(world: World) -> None:
    rows = world.root / "data" / "v2.jsonl"
    rows.write_bytes(rows.read_bytes() + b"{}\n")
    with open_spine(world.root, readonly=True) as spine:
        digest = spine.lineage(world.loud).corpus_dvc_hash or ""
        with pytest.raises(Damaged):
            spine.corpora.search(digest, "row")
        with pytest.raises(BadInput, match="not a valid regular expression"):
            spine.corpora.search(digest, "(")


def running(process: str) -> bool:
    """True where a process is there and not merely waiting to be buried."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_interrupt_ends_the_search_and_its_process(rows: Path) -> None:
    code = f"""
import sys
import time
from modelspine.lineage.row_search import Source, matching
print("ready", flush=True)
try:
    matching([Source({str(rows)!r})], {ENDLESS!r}, 1)
except KeyboardInterrupt:
    sys.exit(130)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        while not (children := Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()):
            pass
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
    deadline = time.monotonic() + 20
    while any(map(running, children)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [child for child in children if running(child)]
