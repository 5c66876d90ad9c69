"""The tutor's commands: corpus, train, quantize, finetune, regress, evaluate, replay and demo.

An error is two lines on stderr, what is wrong and what to do, with exit code 2 (bad input), 3 (something is
unavailable), 5 (a hash differs) or 130 (interrupted); never a traceback. Heavy libraries are imported by the commands
that need them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import date
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from minitutor import corpus, making, pins
from minitutor.problems import BadInput, TutorError, Unavailable
from minitutor.profiles import BASE_SEED, PROFILES

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except TutorError as error:
        return _failed(error)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\nno partial results were left; run the same command again\n")
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of stdout has exited. Python flushes stdout at exit, and that must not raise a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Unavailable.code
    except OSError as error:
        what = f"{error.filename or 'a file'}: {error.strerror or error}"
        return _failed(Unavailable(what, "check that it exists and can be written"))
    return code


def _failed(error: TutorError) -> int:
    sys.stderr.write(f"error: {error.message}\n{error.hint}\n")
    return error.code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m minitutor", description="Corpora, training and evaluation.")
    commands = parser.add_subparsers(required=True, metavar="command")

    made = commands.add_parser("corpus", help="generate the corpora, compare their hashes, add them to DVC's cache")
    made.add_argument("--write", action="store_true", help="accept the new hashes: write the .dvc files")
    made.set_defaults(run=_corpus)

    train = commands.add_parser("train", help="train a bundle and log the run in MLflow")
    train.add_argument("--corpus", type=Path, default=Path(corpus.V1.path))
    train.add_argument("--seed", type=int, default=BASE_SEED)
    train.add_argument("--out", type=Path, help="directory to create (default: a new one in .spine/bundles)")
    train.add_argument(
        "--profile",
        choices=sorted(PROFILES),
        default="full",
        help="size of the training; tiny takes seconds, for tests",
    )
    train.add_argument("--steps", type=int, help="number of steps (default: the profile's)")
    train.add_argument("--eval-set", type=Path, default=Path(corpus.EVAL.path))
    train.add_argument("--no-eval", action="store_true", help="do not write eval_report.json")
    train.add_argument("--no-mlflow", action="store_true", help="do not log an MLflow run")
    train.add_argument("--home", type=Path, help="folder of MLflow's files (default: SPINE_HOME or .spine)")
    train.add_argument("--json", action="store_true")
    train.set_defaults(run=_train)

    making.add(commands, _make)

    evaluate = commands.add_parser("evaluate", help="evaluate a bundle over an eval set")
    evaluate.add_argument("bundle", type=Path)
    evaluate.add_argument("--parent", metavar="DIR|REF", help="the bundle an adapter belongs to")
    evaluate.add_argument("--eval-set", type=Path, default=Path(corpus.EVAL.path))
    evaluate.add_argument("--out", type=Path, help="also write the report to this file")
    evaluate.add_argument("--json", action="store_true", help="print the whole report")
    evaluate.set_defaults(run=_evaluate)

    replay = commands.add_parser("replay", help="send learners' sentences to a server")
    replay.add_argument("--url", default="http://127.0.0.1:8080")
    replay.add_argument("--n", type=int, default=400, help="how many sentences (default 400)")
    replay.add_argument("--skip", type=int, default=0, metavar="K", help="skip the first K, which were sent before")
    replay.add_argument("--seed", type=int, default=7)
    replay.add_argument(
        "--day", type=_day, metavar="YYYY-MM-DD", help="simulate this day (default: now, as live traffic)"
    )
    replay.add_argument(
        "--weekend", type=float, default=0.0, metavar="SHARE", help="share of sentences that are plans for the weekend"
    )
    replay.add_argument(
        "--asking", default="", metavar="SENTENCE", help="a sentence to include in the middle of the traffic"
    )
    replay.add_argument("--json", action="store_true")
    replay.set_defaults(run=_replay)

    demo = commands.add_parser("demo", help="train, serve, replay a week of learners and investigate an incident")
    demo.add_argument("--headless", action="store_true", help="print the incident instead of opening the console")
    demo.add_argument("--quick", action="store_true", help="fewer sentences per day, for tests")
    demo.set_defaults(run=_demo)
    return parser


def _corpus(options: argparse.Namespace) -> int:
    from minitutor import tracking

    root = _root()
    made = tracking.make()
    if options.write:
        tracking.check(made)
        tracking.write_pointers(root, made)
    else:
        tracking.compare(root, made)
    stored = tracking.store(root, made)
    for one in made:
        _say(f"{one.path}  {one.manifest['rows']} rows  md5 {one.manifest['dvc_hash']}")
    _say("added to DVC's cache and remote" if stored else "already in DVC's cache and remote")
    return 0


def _train(options: argparse.Namespace) -> int:
    pins.pin(pins.TRAINING)
    from minitutor import training

    root = _root()
    home = _home(options, root)
    profile = PROFILES[options.profile]
    if options.steps is not None:
        if options.steps < 1:
            raise BadInput(f"--steps {options.steps} is below 1", "give a positive number of steps")
        profile = msgspec.structs.replace(profile, steps=options.steps)
    eval_set = None if options.no_eval else options.eval_set
    if eval_set is not None and not eval_set.is_file():
        raise BadInput(f"there is no eval set at {eval_set}", "run `python -m minitutor corpus`, or pass --no-eval")
    job = training.Job(
        root=root,
        home=home,
        corpus=options.corpus,
        eval_set=eval_set,
        out=options.out or _free(home / "bundles", f"{options.corpus.stem}-seed{options.seed}"),
        seed=options.seed,
        profile=profile,
        mlflow=not options.no_mlflow,
    )
    done = training.run(job)
    _print(done, [f"{name}: {value}" for name, value in done.items()], as_json=options.json)
    return 0


def _make(options: argparse.Namespace, make: making.Make) -> int:
    root = _root()
    home = _home(options, root)
    done = make(options, root, home, options.out or _free(home / "bundles", options.make))
    _print(done, [f"{name}: {value}" for name, value in done.items()], as_json=options.json)
    return 0


def _evaluate(options: argparse.Namespace) -> int:
    pins.pin(pins.SERVING)
    from minitutor import bundles, parents
    from minitutor.progress import progress
    from minitutor.workload import Minitutor

    parent = parents.find(options.parent).folder if options.parent else None
    with progress("evaluating") as advance:
        report = Minitutor().evaluate(options.bundle, parent, options.eval_set, advance)
    if options.out:
        bundles.write_json(options.out, report)
    counts = {**report["buckets"], "total": report["total"], "wrong accepted as correct": report["false_accept"]}
    lines = [_counted(name, count["k"], count["n"]) for name, count in counts.items()]
    lines.append(f"answers {report['answers_sha256']}")
    _print(report, lines, as_json=options.json)
    return 0


def _counted(name: str, k: int, n: int) -> str:
    share = f"{100 * k / n:6.2f} %" if n else "     –"
    return f"{name:32} {k:5}/{n:<5} {share}"


def _replay(options: argparse.Namespace) -> int:
    from minitutor import learners, replay

    if options.n < 1:
        raise BadInput(f"--n {options.n} is below 1", "give a positive number of sentences")
    if not 0 <= options.weekend <= 1:
        raise BadInput(f"--weekend {options.weekend} is not between 0 and 1", "give a number from 0 to 1")
    if not 0 <= options.skip < options.n:
        raise BadInput(
            f"--skip {options.skip} leaves none of {options.n} sentences", f"give a number from 0 to {options.n - 1}"
        )
    traffic = learners.Traffic(
        n=options.n, seed=options.seed, day=options.day, weekend=options.weekend, asking=options.asking
    )
    done = replay.replay(options.url, learners.asks(traffic)[options.skip :])
    feedback = ", ".join(f"{outcome} {n}" for outcome, n in done["feedback"].items()) or "none"
    lines = [
        f"sent {done['sent']:,}, failed {done['errors']:,}; wrong sentences accepted as correct: {done['passed']:,}",
        f"feedback: {feedback}" + (f"; first dismissed request: {done['incident']}" if done["incident"] else ""),
    ]
    _print(done, lines, as_json=options.json)
    return 0


def _day(text: str) -> date:
    """Parse a day for argparse, which adds the option's name to the error."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2026-11-22") from None


def _demo(options: argparse.Namespace) -> int:
    from minitutor import demo, week

    return demo.run(headless=options.headless, sizes=week.QUICK if options.quick else week.Sizes())


def _root() -> Path:
    """Return the checkout that contains the working directory, or the working directory itself."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _home(options: argparse.Namespace, root: Path) -> Path:
    """Return the folder of MLflow's files."""
    return options.home or Path(os.environ.get("SPINE_HOME") or root / ".spine")


def _free(folder: Path, name: str) -> Path:
    """Return the first of ``name``, ``name-2``, ``name-3``, … that does not exist yet."""
    names = (name if n == 1 else f"{name}-{n}" for n in count(1))
    return next(folder / candidate for candidate in names if not (folder / candidate).exists())


def _print(value: Any, lines: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        _say(msgspec.json.encode(value).decode())
        return
    for line in lines:
        _say(line)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
