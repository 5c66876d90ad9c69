"""Types that several threads use for the first time at once, as the console's jobs do when they read a ledger."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, because what it would show is a crash. Each round has new types that no thread has used yet.
_RACE = """
import sys, threading, types
import msgspec
sys.setswitchinterval(1e-6)
SOURCE = '''
from __future__ import annotations
from typing import Annotated, Any
import msgspec
Text = Annotated[str, msgspec.Meta(max_length=10)]
class Base(msgspec.Struct, frozen=True, kw_only=True):
    a: Text
    b: int | None = None
class Parts(Base, frozen=True, kw_only=True):
    c: tuple[Base, ...]
    d: dict[str, Any] | None = None
class Whole(Parts, frozen=True, kw_only=True):
    e: list[Parts]
    f: Text
'''

def use(kind, barrier):
    barrier.wait()
    msgspec.convert({"a": "x", "c": [{"a": "y"}], "e": [], "f": "z"}, kind)

for number in range(300):
    module = sys.modules[f"types{number}"] = types.ModuleType(f"types{number}")
    exec(SOURCE, module.__dict__)
    barrier = threading.Barrier(4)
    threads = [threading.Thread(target=use, args=(module.Whole, barrier)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("done")
"""


def test_threads_that_use_a_type_first_at_the_same_time_do_not_crash() -> None:
    """With msgspec 0.22 this crashed each time, and a console one time in a hundred."""
    done = subprocess.run([sys.executable, "-c", _RACE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-500:]
