"""kill -9 while a pointer moves: the state is the old or the new one, acknowledged means kept, a retry is one event.

``SPINE_FAULTS=long`` runs 200 cycles of each verb instead of 10.
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

from modelspine.maintenance.chain import read_chain
from modelspine.maintenance.verify_ledger import verify
from modelspine.spine import Spine, open_spine

pytestmark = pytest.mark.usefixtures("either_ledger")
CYCLES = 200 if os.environ.get("SPINE_FAULTS") == "long" else 10

VERBS = {
    "route": "spine.routing.single(ref, reason='moved', key=key)",
    "rollback": "spine.routing.rollback(ref, reason='moved', key=key)",
    "promote": "spine.registry.promote(ref, 'v' + key + '.1.0', key=key)",
}
WORKER = """
import sys
from pathlib import Path
from modelspine.spine import open_spine
root, ref, key, broken = sys.argv[1:]
spine = open_spine(Path(root))
spine.registry.state()
print("ready", flush=True)
sys.stdin.readline()
if broken == "yes":
    print("done", flush=True)
    sys.stdin.readline()
{verb}
print("done", flush=True)
"""


def cycle(root: Path, verb: str, ref: str, key: str, wait: float, *, broken: bool = False) -> tuple[bool, bool]:
    """Do a verb on ``ref`` in another process and kill it ``wait`` seconds in; (acknowledged, killed).

    A broken one says that it is done and then waits to be killed, so that the result does not depend on the clock.
    """
    program = WORKER.format(verb=VERBS[verb])
    worker = subprocess.Popen(
        [sys.executable, "-c", program, str(root), ref, key, "yes" if broken else "no"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"ready\n"
    worker.stdin.write(b"go\n")
    worker.stdin.flush()
    said = broken and worker.stdout.readline() == b"done\n"
    time.sleep(wait)
    worker.kill()
    acknowledged = said or b"done" in worker.stdout.read()
    code = worker.wait()
    worker.stdin.close()
    worker.stdout.close()
    return acknowledged, code == -9


@pytest.fixture
def two(project: Path, make_bundle: Callable[..., Path]) -> tuple[str, str]:
    """Two entries that were both stable once; the first one is stable."""
    with open_spine(project) as spine:
        shas = [spine.registry.register(make_bundle(n)).sha for n in (1, 2)]
        for number, sha in enumerate(shas):
            spine.registry.promote(sha, f"v{number}.0.0")
        spine.routing.single(shas[1], reason="forward")
        spine.routing.single(shas[0], reason="and back")
    return shas[0], shas[1]


def pointers(spine: Spine) -> tuple[str | None, frozenset[str], frozenset[str]]:
    """Production, what is held, and the semvers: everything these verbs move."""
    state = spine.registry.state()
    held = frozenset(sha for sha, known in state.entries.items() if known.held is not None)
    return state.production, held, frozenset(state.semvers)


def after(
    verb: str, old: tuple[str | None, frozenset[str], frozenset[str]], ref: str, key: str
) -> tuple[str | None, frozenset[str], frozenset[str]]:
    """The pointers that the verb leads to; nothing between them and the old ones may ever be seen."""
    production, held, semvers = old
    if verb == "promote":
        return production, held, semvers | {f"v{key}.1.0"}
    return ref, held | {production} if verb == "rollback" and production else held, semvers


@pytest.mark.parametrize("verb", VERBS)
def test_killed_while_a_pointer_moves(project: Path, two: tuple[str, str], verb: str) -> None:
    rng = random.Random(5)
    killed = unacknowledged = kept = 0
    cycles = CYCLES // 3 if os.environ.get("SPINE_LEDGER") else CYCLES
    for number in range(20 * cycles):  # on a busy machine a kill may come late many times in a row
        if number >= cycles and killed:
            break
        with open_spine(project) as spine:
            for sha in pointers(spine)[1]:
                spine.registry.release(sha, reason="the next cycle goes back to it")
            old = pointers(spine)
        ref, key = two[1] if old[0] == two[0] else two[0], str(number + 7)
        new = after(verb, old, ref, key)
        acknowledged, hit = cycle(project, verb, ref, key, rng.uniform(0.0, 0.004))
        killed += hit and not acknowledged
        with open_spine(project) as spine:
            now = pointers(spine)
            assert now in (old, new)
            if acknowledged:
                kept += 1
                assert now == new
            elif now == new:
                unacknowledged += 1
            exec(VERBS[verb], {"spine": spine, "ref": ref, "key": key})
            assert [event.body.get("key") for event in spine.registry.events()].count(key) == 1
            assert pointers(spine) == new
    with open_spine(project, readonly=True) as spine:
        chain = read_chain(spine.settings.ledger)
        checks = verify(spine.ledger, spine.cache, chain, progress=lambda *_: None)
        assert [problem for check in checks for problem in check.problems] == []
    assert killed > 0, "no process was killed before it had acknowledged"
    print(f"{verb}: {killed} of {number} killed, {kept} acknowledged, {unacknowledged} committed and not acknowledged")


def test_the_harness_catches_an_early_acknowledgement(project: Path, two: tuple[str, str]) -> None:
    """A twin that says done before it has appended is what the assertion above exists for."""
    acknowledged, hit = cycle(project, "rollback", two[1], "early", 0.004, broken=True)
    with open_spine(project, readonly=True) as spine:
        lost = spine.registry.state().production != two[1]
    assert (acknowledged, hit, lost) == (True, True, True)
