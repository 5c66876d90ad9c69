"""Eight writers of one ledger, killed at any moment: what they were told fits one order of events, the ledger's.

``SPINE_FAULTS=long`` writes for 60 seconds instead of five.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from modelspine.ledger.event import Event
from modelspine.maintenance.chain import read_chain
from modelspine.spine import open_spine

pytestmark = pytest.mark.usefixtures("either_ledger")
SECONDS = 60 if os.environ.get("SPINE_FAULTS") == "long" else 5
WRITERS = 8

# Each writer notes what it begins and what it is told, with the time of the machine's clock that only goes forward.
# After a kill, the next process of the writer repeats the request whose outcome is unknown, with its key.
WORKER = """
import json, os, sys, time
from pathlib import Path
from modelspine.errors import Conflict
from modelspine.ledger.store import Draft
from modelspine.spine import open_spine
root, name, broken = sys.argv[1:]
log = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
lines = [json.loads(line) for line in Path(name).read_bytes().split(b"\\n")[:-1]]
def say(**fields):
    os.write(log, json.dumps({"at": time.monotonic_ns(), **fields}).encode() + b"\\n")
ledger = open_spine(Path(root)).ledger
done = {line["key"] for line in lines if line["what"] != "begin"}
again = [line for line in lines if line["what"] == "begin" and line["key"] not in done][-1:]
number = len(lines)
while True:
    number += 1
    if again:
        key, expected = again[0]["key"], again[0]["expected"]
    else:
        key, expected = f"{Path(name).name}-{number}", ledger.head().seq if number % 2 else None
    again = []
    say(what="begin", key=key, expected=expected)
    if broken == "yes":
        say(what="ok", key=key, seq=ledger.head().seq + 1)
    try:
        events, _ = ledger.append([Draft(kind="noted", body={"text": key})], expected=expected, key=key)
        say(what="ok", key=key, seq=events[0].seq)
    except Conflict:
        say(what="conflict", key=key)
    say(what="read", key=key, seq=ledger.head().seq)
"""


def run(root: Path, folder: Path, seconds: float, *, broken: bool = False) -> int:
    """Write with eight processes for a time, and kill one every now and then; returns how many kills hit one."""
    rng = random.Random(7)
    folder.mkdir()

    def start(number: int) -> subprocess.Popen[bytes]:
        words = [str(root), str(folder / f"w{number}"), "yes" if broken else "no"]
        return subprocess.Popen([sys.executable, "-c", WORKER, *words])

    def size(number: int) -> int:
        file = folder / f"w{number}"
        return file.stat().st_size if file.exists() else 0

    workers, sizes = [start(number) for number in range(WRITERS)], [0] * WRITERS
    try:
        deadline, kills = time.monotonic() + 120, 0
        while not all(map(size, range(WRITERS))):  # they need some time to start
            assert time.monotonic() < deadline, "a writer does not start"
            time.sleep(0.05)
        until = time.monotonic() + seconds
        while time.monotonic() < until or not kills:
            time.sleep(rng.uniform(0.05, 0.3))
            number = rng.choice([n for n in range(WRITERS) if size(n) > sizes[n]] or [0])
            if size(number) == sizes[number]:
                continue  # none of them has come to writing since it was started
            assert workers[number].poll() is None, "a writer ended by itself"
            workers[number].kill()
            workers[number].wait()
            kills, sizes[number] = kills + 1, size(number)
            workers[number] = start(number)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    return kills


def told(folder: Path) -> list[dict[str, Any]]:
    """What the writers noted, in the order of the clock; a last line may have been cut by a kill."""
    lines = [line for file in folder.iterdir() for line in file.read_bytes().split(b"\n")[:-1]]
    return sorted((json.loads(line) for line in lines), key=lambda line: int(line["at"]))


def faults(events: list[Event], lines: list[dict[str, Any]]) -> list[str]:
    """Where what the writers were told does not fit the ledger's order, taken as the order of what happened."""
    seq_of: dict[str, int] = {}
    found: list[str] = []
    for event in events[1:]:
        key = str(event.body.get("key"))
        found += [f"{key} stands at #{seq_of[key]} and #{event.seq}"] if key in seq_of else []
        seq_of[key] = event.seq
    begun: dict[str, int] = {}
    floor, at_begin, expected = 1, {}, {}  # floor: the newest seq that anybody was told so far
    for line in lines:
        key, what = line["key"], line["what"]
        if what == "begin":
            begun.setdefault(key, line["at"])
            at_begin.setdefault(key, floor)
            expected[key] = line["expected"]
            continue
        seq = line.get("seq", 0)
        if what == "ok":
            if seq_of.get(key) != seq:
                found.append(f"{key} was told #{seq}, and stands at #{seq_of.get(key)}")
            if seq <= at_begin[key]:
                found.append(f"{key} stands at #{seq}, and #{at_begin[key]} was told before it began")
            if expected[key] is not None and seq != expected[key] + 1:
                found.append(f"{key} was decided on #{expected[key]}, and stands at #{seq}")
        elif what == "conflict":
            if key in seq_of or expected[key] is None or len(events) <= expected[key]:
                found.append(f"{key} was refused, and nothing stands in its way")
        elif seq < at_begin[key]:
            found.append(f"{key} read #{seq}, and #{at_begin[key]} was told before it began to read")
        if what != "conflict":
            floor = max(floor, seq)
        at_begin[key] = floor  # what follows is the writer's reading, which begins now
    found += [f"{key} stands at #{seq_of[key]}, and nobody began it" for key in seq_of.keys() - begun.keys()]
    return found


def test_eight_writers_under_kills_see_one_order(project: Path, tmp_path: Path) -> None:
    kills = run(project, tmp_path / "told", SECONDS)
    with open_spine(project, readonly=True) as spine:
        events, chain = spine.ledger.events(), read_chain(spine.settings.ledger)
    lines = told(tmp_path / "told")
    assert faults(events, lines) == []
    assert not chain.problems
    assert not chain.unreadable
    count = {what: sum(line["what"] == what for line in lines) for what in ("ok", "conflict", "read")}
    assert kills
    assert all(count.values()), count
    unknown = len(events) - 1 - len({line["key"] for line in lines if line["what"] == "ok"})
    print(f"{kills} kills, {len(events)} events, {count}, {unknown} written and never told")


def test_a_twin_that_answers_before_it_writes_is_caught(project: Path, tmp_path: Path) -> None:
    run(project, tmp_path / "told", 2, broken=True)
    with open_spine(project, readonly=True) as spine:
        assert faults(spine.ledger.events(), told(tmp_path / "told"))
