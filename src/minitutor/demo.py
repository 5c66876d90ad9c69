"""The whole story in one command: trained models, the pipeline that lets them in, a week of learners, one false accept.

Every step is a command that a person could type. It is printed before it runs, and skipped where the ledger or the
traces say that it is done, so an interrupted demo goes on where it stopped. It knows Spine only through its command
line, and works in a project of its own (``demo_project``).
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
from minitutor.steps import Background, StepFailed, ask, say, server, show, step

FOLDER: Final = Path("demo")
"""Where the demo's project stands, in the checkout."""


class Variant(NamedTuple):
    """A model: the command that makes it, where its bundle stands, the semver it asks for, and why."""

    command: tuple[str, ...]
    bundle: Path
    semver: str
    reason: str


BASE: Final = Variant(("train",), Path(".spine/bundles/base"), "v0.1.0", "the first model")
SMALL: Final = Variant(
    ("quantize", "--parent", BASE.semver),
    Path(".spine/bundles/int8"),
    "v0.2.0",
    "the same answers in a quarter of the bytes",
)
GOOD: Final = Variant(
    ("finetune", "--parent", BASE.semver),
    Path(".spine/bundles/lora"),
    "v0.3.0",
    "go in the past, learned from corpus v2",
)
AGAIN: Final = Variant(
    ("train", "--seed", "2"), Path(".spine/bundles/again"), "v0.3.1", "trained again on the same corpus"
)
"""As good as the first model in every bucket, and it makes the mistake that a learner complained about."""
BAD: Final = Variant(
    ("train", "--corpus", corpus.V3.path), Path(".spine/bundles/weekend"), "v0.4.0", "plans for the weekend, corpus v3"
)


def run(*, headless: bool, sizes: week.Sizes) -> int:
    """Run the demo from the checkout in the working directory; returns the exit code of what it ends with."""
    headless = headless or not (sys.stdin.isatty() and sys.stdout.isatty())
    # Whoever ends the demo, or closes its terminal, ends its server and its trainings too.
    for ended in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ended, lambda number, _frame: sys.exit(128 + number))
    try:
        if not FOLDER.is_dir():
            print(f"# a project for the demo, in {FOLDER}/: a git remote, a signing key, a prod ledger", flush=True)
            demo_project.make(Path(), FOLDER)
        os.chdir(FOLDER)
        with Background() as background:
            return _story(background, headless=headless, sizes=sizes)
    except StepFailed as failed:
        return failed.code
    except KeyboardInterrupt:
        print("\nstopped; `./run demo` goes on from here", file=sys.stderr)
        return 130


def _story(background: Background, *, headless: bool, sizes: week.Sizes) -> int:
    known = facts()
    if known.finished and headless:
        return _end(headless=headless)
    if not known.finished:
        step("minitutor", "corpus", quiet=known.production is not None, mute=known.production is not None)
        # Both are needed later in the week; the second core trains them while the first one does everything else.
        background.start(
            [(("minitutor", *one.command, "--out", str(one.bundle)), one.bundle) for one in (AGAIN, BAD)],
            after=BASE.bundle,
        )
        if _deployed(BASE) is None:
            return 1
    good = None
    if not known.finished:
        _deployed(SMALL)
        good = _deployed(GOOD)
    with server() as url:
        if not known.finished:
            _week(background, url(), good, sizes)
        return _end(headless=headless)


def _week(background: Background, url: str, good: str | None, sizes: week.Sizes) -> None:
    week.monday(url, good, sizes)
    _guard()
    if not facts().asked_for(AGAIN.bundle):
        say("a model trained again on the same corpus is no worse in any bucket; the guard is what stops it")
        _deployed(AGAIN, background)
    if not week.tuesday_to_friday(url, good, sizes):
        return
    week.saturday(url, sizes)
    if BAD.semver not in facts().promoted:
        say("no corpus has such sentences: a candidate was trained on a batch of them")
    week.sunday(url, _deployed(BAD, background), sizes)


def _guard() -> None:
    """A learner's complaint becomes an item that no later candidate may get wrong, by a commit that is merged."""
    incident = dismissed("--text", week.INCIDENT)
    baseline = json.loads(Path("eval_baseline.json").read_text(encoding="utf-8"))
    if incident is None or any(item["id"] == incident for item in baseline["never_regress"]):
        return
    say(f"a learner complained about {week.INCIDENT!r}: from now on no candidate may say that again")
    words = ("spine", "incident", incident, "--never-regress", "--reason", "a learner was told that goed is right")
    show(words)
    branch = ask(*words)["never_regress"]["branch"]
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
    print("\nthere is more to see; stand in the demo's project and put `spine` on the PATH first:")
    print(f"$ cd {FOLDER} && . ../.venv/bin/activate")
    commands = [("spine", "list"), ("spine", "drift", "show"), ("spine", "history")]
    known = facts()
    for variant, strategy in ((GOOD, "shadow"), (BAD, "canary")):
        epoch = known.tried(strategy, known.promoted.get(variant.semver, ""))
        commands += [("spine", "route", "report", "--epoch", str(epoch))] if epoch is not None else []
    if BAD.semver in known.promoted and (other := dismissed("--ref", BAD.semver)):
        commands.append(("spine", "incident", other))
    for words in (*commands, ("spine", "console")):
        show(words)


def _deployed(variant: Variant, background: Background | None = None) -> str | None:
    """Make a model and deploy it by the workflow, unless that is done; its SHA, None where it was refused."""
    known = facts().promoted
    if variant.semver in known:
        return known[variant.semver]
    if background is not None:
        background.wait(variant.bundle)
    if not variant.bundle.is_dir():
        step("minitutor", *variant.command, "--out", str(variant.bundle))
    manifest = json.loads((variant.bundle / "train_manifest.json").read_text(encoding="utf-8"))
    sha = str(ask("spine", "sha", str(variant.bundle))["sha"])
    if variant is BASE:
        _say_where_it_differs(sha)
    request = {"run_id": str(manifest["mlflow_run_id"]), "sha": sha, "semver": variant.semver, "reason": variant.reason}
    say(f"ask for {variant.semver}: candidate.toml is committed and pushed, and the workflow runs")
    commit = demo_project.ask(Path(), request)
    run_id = _next_run()
    print(f"run {run_id} of {demo_project.WORKFLOW}", flush=True)
    try:
        done = demo_project.deploy(Path(), run_id, commit=commit, report=_report)
    except TutorError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        raise StepFailed(error.code) from error
    if done.failed is None:
        return sha
    if done.failed != "gate" or done.code != 1:  # not a refusal: something is broken
        print(f"run {run_id} failed at: {done.failed}; its log is {FOLDER / done.log}", file=sys.stderr)
        raise StepFailed(done.code)
    say(f"the workflow refused {variant.semver} and stopped; the refusal goes into the ledger, for whoever asks later")
    step("spine", "register", request["run_id"])
    step("spine", "gate", sha[:12], check=False)
    return None


def _report(name: str, code: int, seconds: float) -> None:
    print(f"  {'✔' if code == 0 else '✖'} {name}  {seconds:.1f} s", flush=True)


def _next_run() -> str:
    """The id of the next run: one more than the last that left a log."""
    found = [int(log.stem) for log in Path(".spine/runs").glob("*.log") if log.stem.isdigit()]
    return str(max(found, default=100) + 1)


def _say_where_it_differs(sha: str) -> None:
    """Training is pinned to the bit on x86-64; elsewhere the weights differ in their last bits, and that is said."""
    baseline = Path("eval_baseline.json")
    expected = json.loads(baseline.read_text(encoding="utf-8")).get("entry_sha") if baseline.is_file() else None
    if expected and expected != sha:
        print(
            f"note: this machine trained {sha[:12]}; the baseline is of {expected[:12]}, from another processor",
            file=sys.stderr,
        )
