"""kill -9 while a route moves: the state is the old one or the new one, acknowledged means kept, a retry is one event.

``SPINE_FAULTS=long`` runs 200 cycles instead of 24.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.spine import open_spine

pytestmark = pytest.mark.usefixtures("either_ledger")
CYCLES = 200 if os.environ.get("SPINE_FAULTS") == "long" else 24

WORKER = """
import sys
from pathlib import Path
from core.spine import open_spine
root, ref, key, broken = sys.argv[1:]
spine = open_spine(Path(root))
spine.registry.state()
print("ready", flush=True)
sys.stdin.readline()
if broken == "yes":
    print("done", flush=True)
    import time; time.sleep(2)
spine.registry.route_single(ref, reason="moved", key=key)
print("done", flush=True)
"""


def cycle(root: Path, ref: str, key: str, wait: float, *, broken: bool = False) -> tuple[bool, bool]:
    """Move the route to ``ref`` in another process and kill it ``wait`` seconds in; (acknowledged, killed)."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root), ref, key, "yes" if broken else "no"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    worker.stdin.write(b"go\n")
    worker.stdin.flush()
    time.sleep(wait)
    worker.kill()
    acknowledged = b"done" in worker.stdout.read()
    code = worker.wait()
    worker.stdin.close()
    worker.stdout.close()
    return acknowledged, code == -9


@pytest.fixture
def two(project: Path, make_bundle: Callable[..., Path]) -> tuple[str, str]:
    with open_spine(project) as spine:
        shas = [spine.registry.register(make_bundle(n)).sha for n in (1, 2)]
        for number, sha in enumerate(shas):
            spine.registry.promote(sha, f"v{number}.0.0")
    return shas[0], shas[1]


def test_killed_while_moving_a_route(project: Path, two: tuple[str, str]) -> None:
    rng = random.Random(5)
    killed = unacknowledged = kept = 0
    cycles = CYCLES // 3 if os.environ.get("SPINE_LEDGER") else CYCLES
    for number in range(cycles):
        with open_spine(project, readonly=True) as spine:
            old = spine.registry.state().production
        new = two[1] if old == two[0] else two[0]
        key = f"move-{number}"
        acknowledged, hit = cycle(project, new, key, rng.uniform(0.0, 0.03))
        killed += hit
        with open_spine(project) as spine:
            state = spine.registry.state()
            assert state.production in (old, new)
            if acknowledged:
                kept += 1
                assert state.production == new
            elif state.production == new:
                unacknowledged += 1
            spine.registry.route_single(new, reason="moved", key=key)
            assert [event.body.get("key") for event in spine.registry.events()].count(key) == 1
            assert spine.registry.state().production == new
    assert killed > 0, "no process was killed while it worked"
    print(f"{cycles} cycles: {killed} killed, {kept} acknowledged, {unacknowledged} committed and not acknowledged")


def test_the_harness_catches_an_early_acknowledgement(project: Path, two: tuple[str, str]) -> None:
    """A twin that says done before it has appended is what the assertion above exists for."""
    acknowledged, hit = cycle(project, two[1], "early", 0.5, broken=True)
    with open_spine(project, readonly=True) as spine:
        lost = spine.registry.state().production != two[1]
    assert (acknowledged, hit, lost) == (True, True, True)
