"""The whole story in one command: a trained model and its variants, a week of learners, one false accept.

Every step is a command a person could type, is printed before it runs, and is skipped where the ledger or
the traces say that it is done already; so an interrupted demo goes on where it stopped. It knows Spine only
through its command line.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Final, NamedTuple

from minitutor import corpus, week
from minitutor.facts import dismissed, facts
from minitutor.steps import StepFailed, say, server, show, step, told


class Variant(NamedTuple):
    """A model made after the first one: its command, where its bundle stands, its semver, and why it is promoted."""

    command: tuple[str, ...]
    bundle: Path
    semver: str
    reason: str


SEMVER: Final = "v0.1.0"
BUNDLE: Final = Path(".spine/bundles/base")
"""Where the trained model stands; it is complete or not there."""
SMALL: Final = Variant(
    ("quantize", "--parent", SEMVER),
    Path(".spine/bundles/int8"),
    "v0.2.0",
    "the same answers in a quarter of the bytes",
)
GOOD: Final = Variant(
    ("finetune", "--parent", SEMVER), Path(".spine/bundles/lora"), "v0.3.0", "go in the past, learned from corpus v2"
)
BAD: Final = Variant(
    ("train", "--corpus", corpus.V3.path), Path(".spine/bundles/weekend"), "v0.4.0", "plans for the weekend, corpus v3"
)


def run(*, headless: bool, sizes: week.Sizes) -> int:
    """Run the demo in the working directory; returns the exit code of what it ends with."""
    headless = headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    # Whoever ends the demo, or closes its terminal, ends its server too.
    for ended in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ended, lambda number, _frame: sys.exit(128 + number))
    try:
        return _story(headless=headless, sizes=sizes)
    except StepFailed as failed:
        return failed.code
    except KeyboardInterrupt:
        print("\nstopped; `./run demo` goes on from here", file=sys.stderr)
        return 130


def _story(*, headless: bool, sizes: week.Sizes) -> int:
    if not Path(".spine/ledger.db").is_file():
        step("spine", "init")
    known = facts()
    if known.finished and headless:
        return _end(headless=headless)
    if SEMVER not in known.promoted:
        _train_and_promote()
    good = None
    if not known.finished:
        _promoted(SMALL)
        good = _promoted(GOOD)
    with server() as url:
        if not known.finished:
            _week(url(), good, sizes)
        return _end(headless=headless)


def _week(url: str, good: str | None, sizes: week.Sizes) -> None:
    if not week.weekdays(url, good, sizes):
        return
    week.saturday(url, sizes)
    if BAD.semver not in facts().promoted:
        say("no corpus has such sentences: a candidate is trained on a batch of them")
    week.sunday(url, _promoted(BAD), sizes)


def _end(*, headless: bool) -> int:
    """The incident: walked here, or in the console."""
    incident = dismissed("--text", week.INCIDENT)
    if incident is None:
        print(f"no learner complained about {week.INCIDENT!r}: this model answered it right", file=sys.stderr)
        print("look at what it says: `spine traces list --text goed`", file=sys.stderr)
        return 1
    words = ("spine", "incident", incident) if headless else ("spine", "console", "--incident", incident)
    code = step(*words, check=False)
    _more()
    return code


def _more() -> None:
    """What else there is to see, as commands."""
    print("\nthere is more to see:")
    commands = [("spine", "list"), ("spine", "drift", "show"), ("spine", "history")]
    known = facts()
    for variant, strategy in ((GOOD, "shadow"), (BAD, "canary")):
        epoch = known.tried(strategy, known.promoted.get(variant.semver, ""))
        commands += [("spine", "route", "report", "--epoch", str(epoch))] if epoch is not None else []
    if BAD.semver in known.promoted and (other := dismissed("--ref", BAD.semver)):
        commands.append(("spine", "incident", other))
    for words in (*commands, ("spine", "console")):
        show(words)


def _train_and_promote() -> None:
    step("minitutor", "corpus")
    if not BUNDLE.is_dir():
        step("minitutor", "train", "--out", str(BUNDLE))
    sha = _registered(BUNDLE)
    _say_where_it_differs(sha)
    step("spine", "gate", sha[:12])
    step("spine", "promote", sha[:12], "--semver", SEMVER, "--reason", "the first model")


def _promoted(variant: Variant) -> str | None:
    """Make a model and promote it, unless that is done; its SHA, None where the gate refused it. No traffic moves."""
    known = facts().promoted
    if variant.semver in known:
        return known[variant.semver]
    step("minitutor", "corpus", quiet=True, mute=True)
    if not variant.bundle.is_dir():
        step("minitutor", *variant.command, "--out", str(variant.bundle))
    sha = _registered(variant.bundle)
    if step("spine", "gate", sha[:12], check=False):
        # On a processor that trains other bits it may come out worse.
        print(f"the gate did not pass it: the story goes on without {variant.semver}", file=sys.stderr)
        return None
    step("spine", "promote", sha[:12], "--semver", variant.semver, "--reason", variant.reason)
    return sha


def _registered(bundle: Path) -> str:
    """Register the run a bundle was logged in; its SHA."""
    manifest = json.loads((bundle / "train_manifest.json").read_text(encoding="utf-8"))
    words = ("spine", "register", str(manifest["mlflow_run_id"]))
    show(words)
    return str(told(*words)["sha"])


def _say_where_it_differs(sha: str) -> None:
    """Training is pinned to the bit on x86-64; elsewhere the weights differ in their last bits, and that is said."""
    baseline = Path("eval_baseline.json")
    expected = json.loads(baseline.read_text(encoding="utf-8")).get("entry_sha") if baseline.is_file() else None
    if expected and expected != sha:
        print(
            f"note: this machine trained {sha[:12]}; the baseline is of {expected[:12]}, from another processor",
            file=sys.stderr,
        )
