"""A fault at each syscall of register, promote and rollback: KILL, EIO, ENOSPC. The state is old or new, never else.

The faults are put in by strace; without it the test is skipped and says so. ``SPINE_FAULTS=long`` visits every
call, the fast profile a spread of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelspine.errors import SpineError
from modelspine.spine import open_spine

STRACE = shutil.which("strace")
LONG = os.environ.get("SPINE_FAULTS") == "long"
CALLS = ("pwrite64", "fdatasync,fsync", "openat", "rename,renameat,renameat2", "write")
NEVER = 60_000
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")

VERBS = {
    "register": "spine.registry.register(Path(sys.argv[2]))",
    "promote": "spine.registry.promote(sys.argv[2], 'v2.0.0')",
    "rollback": "spine.routing.rollback(sys.argv[2], reason='x')",
}
WORKER = """
import sys
from pathlib import Path
from modelspine.errors import SpineError
from modelspine.spine import open_spine
spine = open_spine(Path(sys.argv[1]))
spine.registry.state()
open("/dev/null").close()  # the mark: faults count from here
try:
    {verb}
except (SpineError, OSError):
    sys.exit(9)
"""


def inject(project: Path, verb: str, argument: str, calls: str, fault: str, when: int) -> tuple[bool, int]:
    """Run one verb with the ``when``-th call of a kind failing; (whether it fired, exit code)."""
    log = project / "strace.log"
    trace = [str(STRACE), "-f", "-qq", "-o", str(log), "-e", f"trace={calls}"]
    program = [sys.executable, "-S", "-c", f"import site; site.main()\n{WORKER.format(verb=VERBS[verb])}"]
    done = subprocess.run(
        [*trace, "-e", f"inject={calls}:{fault}:when={when}", *program, str(project), argument],
        capture_output=True,
        timeout=60,
        check=False,
    )
    text = log.read_text(errors="replace")
    return "(INJECTED)" in text or "killed by SIGKILL" in text, done.returncode


def count(project: Path, verb: str, argument: str, calls: str) -> int:
    """How many calls of a kind one undisturbed run makes, in the very process faults go into."""
    inject(project, verb, argument, calls, "error=EIO", NEVER)
    return sum("= " in line for line in (project / "strace.log").read_text(errors="replace").splitlines())


def spread(total: int, most: int) -> list[int]:
    """Up to ``most`` positions in 1…total, the last ones first: that is where the verb itself works."""
    if LONG or total <= most:
        return list(range(1, total + 1))
    return sorted({total - round(step * min(total - 1, 40) / most) for step in range(most)})


@pytest.fixture
def world(project: Path, make_bundle: Callable[..., Path]) -> dict[str, str]:
    with open_spine(project) as spine:
        one, two = (spine.registry.register(make_bundle(number)).sha for number in (1, 2))
        spine.registry.promote(one, "v1.0.0")
        spine.registry.promote(two, "v1.5.0")
    return {"register": str(make_bundle(3)), "promote": two, "rollback": one}


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
@pytest.mark.parametrize("verb", ["register", "promote", "rollback"])
def test_a_fault_at_each_syscall(project: Path, world: dict[str, str], verb: str, tmp_path: Path) -> None:
    if verb == "rollback":
        with open_spine(project) as spine:
            spine.routing.single(world["promote"], reason="to come back from")
    pristine = tmp_path / "pristine"
    shutil.copytree(project, pristine)
    fired = 0
    for calls in CALLS:
        _restore(pristine, project)
        total = count(project, verb, world[verb], calls)
        for number, when in enumerate(spread(total, 2)):
            _restore(pristine, project)
            with open_spine(project, readonly=True) as spine:
                before = spine.registry.state().seq
            hit, _ = inject(project, verb, world[verb], calls, FAULTS[number % len(FAULTS)], when)
            fired += hit
            _sound(project, before, verb)
    assert fired >= 4, f"only {fired} faults fired"


def _sound(project: Path, before: int, verb: str) -> None:
    """The oracle: the chain holds, the verb happened once or not at all, and every pointer's bytes verify."""
    with open_spine(project) as spine:
        state = spine.registry.state()
        assert state.seq in (before, before + (2 if verb == "rollback" else 1)), verb  # a rollback holds what it leaves
        for sha in state.entries:
            assert spine.registry.verified(sha)
        assert state.production is not None
        try:
            spine.registry.note("and it still takes writes")
        except SpineError as error:
            pytest.fail(f"after a fault in {verb}: {error.message}")


def _restore(pristine: Path, project: Path) -> None:
    shutil.rmtree(project)
    shutil.copytree(pristine, project)
