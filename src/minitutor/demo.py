"""The demo: trains and promotes a model and its variants, replays a week of learners, investigates one false accept.

Every step is a command that a person could type, and is printed before it runs. Steps that the ledger or the traces
show as done are skipped, so an interrupted demo continues where it stopped. It uses Spine only through the command
line.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Final, NamedTuple

from minitutor import corpus, week
from minitutor.facts import dismissed, facts
from minitutor.steps import StepFailed, json_of, say, server, show, step


class Variant(NamedTuple):
    """A model made after the first one: the command that makes it, its bundle, its semver and promotion reason."""

    command: tuple[str, ...]
    bundle: Path
    semver: str
    reason: str


SEMVER: Final = "v0.1.0"
BUNDLE: Final = Path(".spine/bundles/base")
"""The folder of the first model; training creates it in one step, so if it exists it is complete."""
QUANTISED: Final = Variant(
    ("quantize", "--parent", SEMVER),
    Path(".spine/bundles/int8"),
    "v0.2.0",
    "same answers as v0.1.0 in a quarter of the size",
)
ADAPTER: Final = Variant(
    ("finetune", "--parent", SEMVER), Path(".spine/bundles/lora"), "v0.3.0", "corpus v2 adds the past of go"
)
WEEKEND: Final = Variant(
    ("train", "--corpus", corpus.V3.path),
    Path(".spine/bundles/weekend"),
    "v0.4.0",
    "corpus v3 adds plans for the weekend",
)


def run(*, headless: bool, sizes: week.Sizes) -> int:
    """Run the demo in the working directory; returns the exit code of its last command."""
    headless = headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    # Turned into SystemExit, so that the context manager of the server stops it too when the demo is terminated
    # or its terminal is closed.
    for ended in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ended, lambda number, _frame: sys.exit(128 + number))
    try:
        return _story(headless=headless, sizes=sizes)
    except StepFailed as failed:
        return failed.code
    except KeyboardInterrupt:
        print("\nstopped; `./run demo` continues from here", file=sys.stderr)
        return 130


def _story(*, headless: bool, sizes: week.Sizes) -> int:
    if not Path(".spine/ledger.db").is_file():
        step("spine", "init")
    known = facts()
    if known.finished and headless:
        return _show_incident(headless=headless)
    if SEMVER not in known.promoted:
        _train_and_promote()
    good = None
    if not known.finished:
        _promote_variant(QUANTISED)
        good = _promote_variant(ADAPTER)
    with server() as url:
        if not known.finished:
            _replay_week(url(), good, sizes)
        return _show_incident(headless=headless)


def _replay_week(url: str, good: str | None, sizes: week.Sizes) -> None:
    if not week.weekdays(url, good, sizes):
        return
    week.saturday(url, sizes)
    if WEEKEND.semver not in facts().promoted:
        say("The corpora contain no such sentences, so a candidate is trained on a batch of them.")
    week.sunday(url, _promote_variant(WEEKEND), sizes)


def _show_incident(*, headless: bool) -> int:
    """Investigate the learner's complaint, here or in the console."""
    incident = dismissed("--text", week.INCIDENT)
    if incident is None:
        print(f"no learner dismissed an answer to {week.INCIDENT!r}: this model corrects it", file=sys.stderr)
        print("`spine traces list --text goed` shows its answers", file=sys.stderr)
        return 1
    words = ("spine", "incident", incident) if headless else ("spine", "console", "--incident", incident)
    code = step(*words, check=False)
    _show_next_commands()
    return code


def _show_next_commands() -> None:
    """Print the commands that show the rest of what the demo recorded."""
    print("\nNext, have a look at:")
    commands = [("spine", "list"), ("spine", "drift", "show"), ("spine", "history")]
    known = facts()
    for variant, strategy in ((ADAPTER, "shadow"), (WEEKEND, "canary")):
        epoch = known.tried(strategy, known.promoted.get(variant.semver, ""))
        commands += [("spine", "route", "report", "--epoch", str(epoch))] if epoch is not None else []
    if WEEKEND.semver in known.promoted and (other := dismissed("--ref", WEEKEND.semver)):
        commands.append(("spine", "incident", other))
    for words in (*commands, ("spine", "console")):
        show(words)


def _train_and_promote() -> None:
    step("minitutor", "corpus")
    if not BUNDLE.is_dir():
        step("minitutor", "train", "--out", str(BUNDLE))
    sha = _register(BUNDLE)
    _report_other_weights(sha)
    step("spine", "gate", sha[:12])
    step("spine", "promote", sha[:12], "--semver", SEMVER, "--reason", "the first model")


def _promote_variant(variant: Variant) -> str | None:
    """Make a model and promote it unless that is done; returns its SHA, or None if it failed the gate."""
    known = facts().promoted
    if variant.semver in known:
        return known[variant.semver]
    step("minitutor", "corpus", quiet=True, mute=True)
    if not variant.bundle.is_dir():
        step("minitutor", *variant.command, "--out", str(variant.bundle))
    sha = _register(variant.bundle)
    if step("spine", "gate", sha[:12], check=False):
        # Possible where another processor trains slightly different weights (see _report_other_weights).
        print(f"{variant.semver} failed the gate, so the demo continues without it", file=sys.stderr)
        return None
    step("spine", "promote", sha[:12], "--semver", variant.semver, "--reason", variant.reason)
    return sha


def _register(bundle: Path) -> str:
    """Register the MLflow run of a bundle and return its SHA."""
    manifest = json.loads((bundle / "train_manifest.json").read_text(encoding="utf-8"))
    words = ("spine", "register", str(manifest["mlflow_run_id"]))
    show(words)
    return str(json_of(*words)["sha"])


def _report_other_weights(sha: str) -> None:
    """Print a note if this machine did not train the model of the committed baseline.

    Training gives the same bits on every x86-64 machine with AVX2; elsewhere the weights differ in their last bits.
    """
    baseline = Path("eval_baseline.json")
    expected = json.loads(baseline.read_text(encoding="utf-8")).get("entry_sha") if baseline.is_file() else None
    if expected and expected != sha:
        print(
            f"note: this machine trained {sha[:12]}, the baseline is for {expected[:12]}:"
            " other processors round differently",
            file=sys.stderr,
        )
