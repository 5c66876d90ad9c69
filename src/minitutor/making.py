"""The commands that make a bundle from another one: quantize, finetune and regress.

It turns command-line options into a recipe and runs it; ``recipes`` knows what they do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from minitutor import corpus, pins
from minitutor.problems import BadInput
from minitutor.profiles import BASE_SEED, TUNINGS

Commands = Any
"""The return value of ``add_subparsers``, whose type is private to argparse."""


def add(commands: Commands, run: Callable[[argparse.Namespace, Make], int]) -> None:
    """Add the three commands; ``run`` is called with the options and the function that makes the bundle."""
    makers = {
        "quantize": (quantize, "make the INT8 form of a bundle"),
        "finetune": (finetune, "train a LoRA adapter of a bundle on the new rows of a corpus"),
        "regress": (regress, "degrade a bundle's past participles, for a candidate that fails the gate"),
    }
    for name, (make, text) in makers.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--parent", required=True, metavar="DIR|REF", help="the FP32 bundle to start from")
        command.add_argument("--out", type=Path, help="directory to create (default: a new one in .spine/bundles)")
        command.add_argument("--eval-set", type=Path, default=Path(corpus.EVAL.path))
        command.add_argument("--no-mlflow", action="store_true", help="do not log an MLflow run")
        command.add_argument("--home", type=Path, help="folder of MLflow's files (default: SPINE_HOME or .spine)")
        command.add_argument("--json", action="store_true")
        if make is not quantize:
            command.add_argument("--seed", type=int, default=BASE_SEED)
        if make is finetune:
            command.add_argument("--corpus", type=Path, default=Path(corpus.V2.path))
            command.add_argument(
                "--profile", choices=sorted(TUNINGS), default="full", help="size of the training; tiny is for tests"
            )
            command.add_argument("--steps", type=int, help="number of steps (default: the profile's)")
        if make is not regress:
            command.add_argument("--no-eval", action="store_true", help="do not write eval_report.json")
        command.set_defaults(run=lambda options, make=make: run(options, make), make=name)


Make = Callable[[argparse.Namespace, Path, Path, Path], dict[str, Any]]
"""Called with options, checkout, MLflow's folder and target; returns what the command prints."""


def quantize(options: argparse.Namespace, root: Path, home: Path, out: Path) -> dict[str, Any]:
    """Make the INT8 form of a bundle."""
    pins.pin(pins.SERVING)
    from minitutor import deriving, parents, recipes

    parent = parents.find(options.parent)
    return deriving.run(_job(options, root, home, out, parent), recipes.quantised(parent))


def finetune(options: argparse.Namespace, root: Path, home: Path, out: Path) -> dict[str, Any]:
    """Train a LoRA adapter of a bundle."""
    pins.pin(pins.TRAINING)
    from minitutor import deriving, parents, recipes

    tuning = TUNINGS[options.profile]
    if options.steps is not None:
        if options.steps < 1:
            raise BadInput(f"--steps {options.steps} is below 1", "give a positive number of steps")
        tuning = msgspec.structs.replace(tuning, steps=options.steps)
    parent = parents.find(options.parent)
    recipe = recipes.tuned(parent, options.corpus, root, tuning=tuning, seed=options.seed)
    return deriving.run(_job(options, root, home, out, parent), recipe)


def regress(options: argparse.Namespace, root: Path, home: Path, out: Path) -> dict[str, Any]:
    """Degrade a bundle on purpose."""
    pins.pin(pins.SERVING)
    from minitutor import deriving, parents, recipes

    if options.seed < 0:
        raise BadInput(f"--seed {options.seed} is negative", "give a seed of 0 or more")
    parent = parents.find(options.parent)
    recipe = recipes.regressed(parent, options.eval_set, seed=options.seed)
    return deriving.run(_job(options, root, home, out, parent), recipe)


def _job(options: argparse.Namespace, root: Path, home: Path, out: Path, parent: Any) -> Any:
    from minitutor.deriving import Job

    eval_set = None if getattr(options, "no_eval", False) else options.eval_set
    if eval_set is not None and not eval_set.is_file():
        raise BadInput(f"there is no eval set at {eval_set}", "run `python -m minitutor corpus`")
    return Job(root=root, home=home, parent=parent, out=out, eval_set=eval_set, mlflow=not options.no_mlflow)
