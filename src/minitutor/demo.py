"""The demo: trains models, deploys them by the workflow, replays a week of learners, investigates one false accept.

Every step is a command that a person could type, and is printed before it runs. Steps that the ledger or the traces
show as done are skipped, so an interrupted demo continues where it stopped. It uses Spine only through the command
line, in a project of its own (``demo_project``).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Final, NamedTuple

from minitutor import corpus, demo_project, week
from minitutor.facts import dismissed, facts
from minitutor.problems import TutorError
from minitutor.steps import Background, StepFailed, json_of, say, server, show, step

FOLDER: Final = Path("demo")
"""Where the demo's project stands, in the checkout."""


class Variant(NamedTuple):
    """A model: the command that makes it, where its bundle stands, the semver it asks for, and why."""

    command: tuple[str, ...]
    bundle: Path
    semver: str
    reason: str


BASE: Final = Variant(("train",), Path(".spine/bundles/base"), "v0.1.0", "the first model")
QUANTISED: Final = Variant(
    ("quantize", "--parent", BASE.semver),
    Path(".spine/bundles/int8"),
    "v0.2.0",
    "same answers as v0.1.0 in a quarter of the size",
)
ADAPTER: Final = Variant(
    ("finetune", "--parent", BASE.semver),
    Path(".spine/bundles/lora"),
    "v0.3.0",
    "corpus v2 adds the past of go",
)
RETRAINED: Final = Variant(
    ("train", "--seed", "2"), Path(".spine/bundles/again"), "v0.3.1", "trained again on the same corpus"
)
"""As good as the first model in every bucket, and it makes the mistake that a learner complained about."""
WEEKEND: Final = Variant(
    ("train", "--corpus", corpus.V3.path),
    Path(".spine/bundles/weekend"),
    "v0.4.0",
    "corpus v3 adds plans for the weekend",
)


def run(*, headless: bool, sizes: week.Sizes) -> int:
    """Run the demo from the checkout in the working directory; returns the exit code of what it ends with."""
    headless = headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    # Turned into SystemExit, so that the context managers stop the server and the trainings too when the demo is
    # terminated or its terminal is closed.
    for ended in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ended, lambda number, _frame: sys.exit(128 + number))
    try:
        if not FOLDER.is_dir():
            say(f"The demo gets its own project in {FOLDER}/: a clone with a remote, a signing key, a prod ledger.")
            demo_project.make(Path(), FOLDER)
        os.chdir(FOLDER)
        with Background() as background:
            return _story(background, headless=headless, sizes=sizes)
    except StepFailed as failed:
        return failed.code
    except KeyboardInterrupt:
        print("\nstopped; `./run demo` continues from here", file=sys.stderr)
        return 130


def _story(background: Background, *, headless: bool, sizes: week.Sizes) -> int:
    known = facts()
    if known.finished and demo_project.witnessed(Path()) < max(map(known.promotion, known.promoted), default=0):
        _witness()
    if known.finished and headless:
        return _end(headless=headless)
    if not known.finished:
        step("minitutor", "corpus", quiet=known.production is not None, mute=known.production is not None)
        # Both are needed later in the week; the second core trains them while the first one does everything else.
        background.start(
            [(("minitutor", *one.command, "--out", str(one.bundle)), one.bundle) for one in (RETRAINED, WEEKEND)],
            after=BASE.bundle,
        )
        if _deployed(BASE) is None:
            return 1
    good = None
    if not known.finished:
        _deployed(QUANTISED)
        good = _deployed(ADAPTER)
    with server() as url:
        if not known.finished:
            _week(background, url(), good, sizes)
        return _end(headless=headless)


def _week(background: Background, url: str, good: str | None, sizes: week.Sizes) -> None:
    week.monday(url, good, sizes)
    _guard()
    if not facts().asked_for(RETRAINED.bundle):
        say("A model trained again on the same corpus is as good in every bucket. Only the new item can stop it.")
        _deployed(RETRAINED, background)
    if not week.tuesday_to_friday(url, good, sizes):
        return
    week.saturday(url, sizes)
    if WEEKEND.semver not in facts().promoted:
        say("No corpus contains such sentences, so a candidate was trained on a batch of them.")
    week.sunday(url, _deployed(WEEKEND, background), sizes)


def _guard() -> None:
    """A learner's complaint becomes an item that no later candidate may get wrong, by a commit that is merged."""
    incident = dismissed("--text", week.INCIDENT)
    baseline = json.loads(Path("eval_baseline.json").read_text(encoding="utf-8"))
    if incident is None or any(item["id"] == incident for item in baseline["never_regress"]):
        return
    say(f"A learner complained about {week.INCIDENT!r}. From now on no candidate may make that mistake again.")
    words = ("spine", "incident", incident, "--never-regress", "--reason", "a learner was told that goed is right")
    show(words)
    branch = json_of(*words)["never_regress"]["branch"]
    if branch is not None:
        step("git", "merge", "--quiet", "--ff-only", branch)
        step("git", "push", "--quiet", "origin", "HEAD:main")


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
    """What else there is to see, as commands, and where to type them."""
    print("\nNext, go to the demo's project, put `spine` on the PATH, and have a look at:")
    print(f"$ cd {FOLDER} && . ../.venv/bin/activate")
    commands = [("spine", "list"), ("spine", "drift", "show"), ("spine", "history")]
    known = facts()
    for variant, strategy in ((ADAPTER, "shadow"), (WEEKEND, "canary")):
        epoch = known.tried(strategy, known.promoted.get(variant.semver, ""))
        commands += [("spine", "route", "report", "--epoch", str(epoch))] if epoch is not None else []
    if WEEKEND.semver in known.promoted and (other := dismissed("--ref", WEEKEND.semver)):
        commands.append(("spine", "incident", other))
    for words in (*commands, ("spine", "console")):
        show(words)


def _deployed(variant: Variant, background: Background | None = None) -> str | None:
    """Make a model and deploy it by the workflow, unless that is done; its SHA, None where it was refused."""
    known = facts()
    if variant.semver in known.promoted:
        if demo_project.witnessed(Path()) < known.promotion(variant.semver):
            _witness()
        return known.promoted[variant.semver]
    if background is not None:
        background.wait(variant.bundle)
    if not variant.bundle.is_dir():
        step("minitutor", *variant.command, "--out", str(variant.bundle))
    manifest = json.loads((variant.bundle / "train_manifest.json").read_text(encoding="utf-8"))
    sha = str(json_of("spine", "sha", str(variant.bundle))["sha"])
    if variant is BASE:
        _report_other_weights(sha)
    request = {"run_id": str(manifest["mlflow_run_id"]), "sha": sha, "semver": variant.semver, "reason": variant.reason}
    say(f"Request {variant.semver}: candidate.toml is committed and pushed, and the deploy workflow runs.")
    run_id = _next_run()
    try:
        commit = demo_project.ask(Path(), request)
        print(f"run {run_id} of {demo_project.WORKFLOW}", flush=True)
        done = demo_project.deploy(Path(), run_id, commit=commit, report=_report)
    except TutorError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        raise StepFailed(error.code) from error
    if done.failed is None:
        return sha
    if done.failed != "gate" or done.code != 1:  # not a refusal: something is broken
        print(f"run {run_id} failed at: {done.failed}; its log is {FOLDER / done.log}", file=sys.stderr)
        raise StepFailed(done.code)
    say(f"The workflow refused {variant.semver} and stopped. The refusal is recorded in the ledger as well.")
    step("spine", "register", request["run_id"])
    # With the report that the workflow made: it was evaluated twice, so it says what an answer costs.
    step("spine", "gate", sha[:12], "--report", str(demo_project.REPORT), check=False)
    return None


def _witness() -> None:
    """Witness the ledger again after a promotion whose own run did not come to it, or failed there."""
    say("The newest promotion is not on the branch `witness` yet, so that job of the workflow runs again.")
    run_id = _next_run()
    try:
        commit = demo_project.push(Path())
        done = demo_project.witness(Path(), run_id, commit=commit, report=_report)
    except TutorError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        raise StepFailed(error.code) from error
    if done.failed is not None:
        print(f"run {done.run_id} failed at: {done.failed}; its log is {FOLDER / done.log}", file=sys.stderr)
        raise StepFailed(done.code)


def _report(name: str, code: int, seconds: float) -> None:
    print(f"  {'✔' if code == 0 else '✖'} {name}  {seconds:.1f} s", flush=True)


def _next_run() -> str:
    """The id of the next run: one more than the last that left a log."""
    found = [int(log.stem) for log in Path(".spine/runs").glob("*.log") if log.stem.isdigit()]
    return str(max(found, default=100) + 1)


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
