"""The whole story in one command: corpora, a trained model and its variants, a server, its learners, one false accept.

Every step is a command a person could type, is printed before it runs, and is skipped where the ledger or
the traces say that it is done already; so an interrupted demo goes on where it stopped. It knows Spine only
through its command line.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Variant(NamedTuple):
    """A model made of the first one: its command, where its bundle stands, its semver, and why it is promoted."""

    command: str
    bundle: Path
    semver: str
    reason: str


SEMVER = "v0.1.0"
WORD = "goed"
"""What the learner who complains had written."""
BUNDLE = Path(".spine/bundles/base")
"""Where the trained model stands; it is complete or not there."""
VARIANTS = (
    Variant("quantize", Path(".spine/bundles/int8"), "v0.2.0", "the same answers in a quarter of the bytes"),
    Variant("finetune", Path(".spine/bundles/lora"), "v0.3.0", "go in the past, learned from corpus v2"),
)
_READY_SECONDS = 30


class StepFailed(Exception):
    """A command of the demo ended badly; it has said why itself."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit {code}")
        self.code = code


def run(*, headless: bool) -> int:
    """Run the demo in the working directory; returns the exit code of what it ends with."""
    headless = headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    try:
        return _story(headless=headless)
    except StepFailed as failed:
        return failed.code
    except KeyboardInterrupt:
        print("\nstopped; `./run demo` goes on from here", file=sys.stderr)
        return 130


def _story(*, headless: bool) -> int:
    if not Path(".spine/ledger.db").is_file():
        _step("spine", "init")
    if SEMVER not in _promoted():
        _train_and_promote()
    for variant in VARIANTS:
        if variant.semver not in _promoted():
            _derive_and_promote(variant)
    incident = _incident()
    if incident is not None and headless:
        return _step("spine", "incident", incident, check=False)
    with _server() as url:
        if incident is None:
            _step("minitutor", "replay", "--url", url())
            incident = _incident()
        if incident is None:
            print(f"no learner complained about {WORD!r}: this model answered it right", file=sys.stderr)
            print(f"look at what it says: `spine traces list --text {WORD}`", file=sys.stderr)
            return 1
        if headless:
            return _step("spine", "incident", incident, check=False)
        return _step("spine", "console", "--incident", incident, check=False, quiet=True)


def _train_and_promote() -> None:
    _step("minitutor", "corpus")
    if not BUNDLE.is_dir():
        _step("minitutor", "train", "--out", str(BUNDLE))
    sha = _registered(BUNDLE)
    _say_where_it_differs(sha)
    _step("spine", "gate", sha[:12])
    _step("spine", "promote", sha[:12], "--semver", SEMVER, "--reason", "the first model")


def _derive_and_promote(variant: Variant) -> None:
    """Make a variant of the first model and promote it; traffic stays where it is."""
    _step("minitutor", "corpus", quiet=True)
    if not variant.bundle.is_dir():
        _step("minitutor", variant.command, "--parent", SEMVER, "--out", str(variant.bundle))
    sha = _registered(variant.bundle)
    if _step("spine", "gate", sha[:12], check=False):
        # On a processor that trains other bits the adapter may come out worse; nothing else hangs on it.
        print(f"the gate did not pass it: the story goes on without {variant.semver}", file=sys.stderr)
        return
    _step("spine", "promote", sha[:12], "--semver", variant.semver, "--reason", variant.reason)


def _registered(bundle: Path) -> str:
    """Register the run a bundle was logged in; its SHA."""
    manifest = json.loads((bundle / "train_manifest.json").read_text(encoding="utf-8"))
    words = ("spine", "register", str(manifest["mlflow_run_id"]))
    _show(words)
    return str(_json(*words, "--json")["sha"])


def _say_where_it_differs(sha: str) -> None:
    """Training is pinned to the bit on x86-64; elsewhere the weights differ in their last bits, and that is said."""
    baseline = Path("eval_baseline.json")
    expected = json.loads(baseline.read_text(encoding="utf-8")).get("entry_sha") if baseline.is_file() else None
    if expected and expected != sha:
        print(
            f"note: this machine trained {sha[:12]}; the baseline is of {expected[:12]}, from another processor",
            file=sys.stderr,
        )


def _promoted() -> set[str]:
    """Every semver that is bound."""
    return {semver for entry in _json("spine", "list", "--json")["entries"] for semver in entry["semvers"]}


def _incident() -> str | None:
    """The request a learner complained about, where the traces have one."""
    if not Path(".spine/traces.db").is_file():
        return None
    found = _json("spine", "traces", "list", "--text", WORD, "--outcome", "dismissed", "--limit", "1", "--json")
    traces = found["traces"]
    return str(traces[0]["request_id"]) if traces else None


@contextmanager
def _server() -> Iterator[Callable[[], str]]:
    """A server of the promoted entry for as long as the block runs; yields what waits for its URL."""
    home = Path(".spine")
    log = home / "serve.log"
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(
            [*_program("spine"), "serve", "--port", "0", "--allow-replay"],
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield lambda: _url(server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            server.kill()


def _url(server: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        text = log.read_text(encoding="utf-8", errors="replace")
        start = text.find("http://")
        if start >= 0 and "\n" in text[start:]:
            return text[start:].split()[0]
        time.sleep(0.05)
    print(log.read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
    print(f"the server did not start; its log is {log}", file=sys.stderr)
    raise StepFailed(3)


def _program(name: str) -> list[str]:
    """The command line that starts ``spine``, or one of this package's commands."""
    if name == "minitutor":
        return [sys.executable, "-m", "minitutor"]
    return [str(Path(sys.executable).with_name(name))]


def _step(*words: str, check: bool = True, quiet: bool = False) -> int:
    """Run one command in the foreground, shown as a person would type it."""
    if not quiet:
        _show(words)
    code = subprocess.run(
        [*_program(words[0]), *words[1:]], check=False, stdout=subprocess.DEVNULL if quiet and check else None
    ).returncode
    if check and code:
        raise StepFailed(code)
    return code


def _json(*words: str) -> Any:
    """What a command says with ``--json``."""
    environment = {**os.environ, "SPINE_QUIET": "1"}
    done = subprocess.run([*_program(words[0]), *words[1:]], check=False, stdout=subprocess.PIPE, env=environment)
    if done.returncode:
        raise StepFailed(done.returncode)
    return json.loads(done.stdout)


def _show(words: Sequence[str]) -> None:
    prefix = "python -m " if words[0] == "minitutor" else ""
    print(f"$ {prefix}{' '.join(words)}", flush=True)
