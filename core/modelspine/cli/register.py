"""``spine register``: register the bundle of a folder, or one that MLflow keeps."""

from __future__ import annotations

import argparse
from pathlib import Path

from modelspine.cli.output import Out
from modelspine.cli.parser import Verbs
from modelspine.cli.progress import working
from modelspine.cli.promotion import show_receipt
from modelspine.errors import BadInput, Exit, Unavailable
from modelspine.registry.entries import Registration, source_of
from modelspine.registry.mlflow_source import FORMS, is_uri, read_source
from modelspine.spine import Spine
from modelspine.text import short, visible


def command(verbs: Verbs) -> None:
    """Add ``register``."""
    register = verbs.add(
        "register", "register the bundle of a folder, or one that MLflow keeps", run_register,
        details="A model in MLflow is named by a run id, runs:/ID/path, models:/name@alias, models:/name/3, "
        "models:/name/latest or models:/m-… (a logged model). Without a path, a run is searched for the folder that "
        "holds a model. A bundle without a training manifest gets one, made of the options below and of the run's "
        "parameters, commit and tags (spine.corpus, spine.parent). Where the settings name an MLflow store, a folder "
        "is logged into a run, from which other machines fetch its files.",
        example="spine register models:/tickets@candidate --corpus data/tickets.jsonl", writes=True,
    )  # fmt: skip
    register.add_argument("source", metavar="RUN_ID|URI|BUNDLE_DIR", help="where the bundle is: in MLflow, or a folder")
    register.add_argument("--path", metavar="FOLDER", help="the bundle's folder among the artifacts in MLflow")
    register.add_argument(
        "--unfinished", action="store_true", help="also take what a run has logged that is running or has failed"
    )
    register.add_argument(
        "--corpus", action="append", default=[], metavar="PATH",
        help="a file or folder under DVC that it was trained on; may be repeated",
    )  # fmt: skip
    register.add_argument("--eval", type=Path, metavar="F", help="its evaluation report, a spine.eval/1")
    register.add_argument("--parent", metavar="REF", help="the entry it was made from, which is part of its identity")
    register.add_argument("--seed", metavar="N", help="the seed of its training")
    register.add_argument(
        "--local", action="store_true", help="do not log a folder into MLflow: only this machine can then use the entry"
    )
    register.add_argument(
        "--follow", action="store_true", help="read links to files, as in a hub's cache, as those files"
    )


def run_register(args: argparse.Namespace, spine: Spine) -> int:
    """Register a bundle's folder, or what a source in MLflow names."""
    receipt = _registered(args, spine)
    out = Out.of(args)
    code = show_receipt(out, receipt, by_products=receipt.by_products, logged=receipt.logged)
    if out.json:
        return code
    if receipt.logged:
        out.line(f"    its files are in MLflow as {visible(receipt.logged)}, from which other machines fetch them")
    elif (origin := source_of(receipt.event.body)) is not None and {"source", "path"} & {*receipt.event.body}:
        out.line(f"    from {visible(origin)}")
    if receipt.by_products:
        left_out = ", ".join(visible(path) for path in receipt.by_products)
        out.line(f"    not part of the model, so neither hashed nor stored: {left_out}")
    if receipt.created:
        out.line(f"    next: `{_next(receipt, spine)}`")
    return Exit(code)


def _next(receipt: Registration, spine: Spine) -> str:
    """The command that takes an entry further, towards a promotion."""
    ref = short(receipt.sha)
    if "eval_report" not in receipt.event.body.get("evidence", {}):
        if spine.settings.names_workload and spine.settings.eval_baseline.is_file():
            return f"spine evaluate {ref} --out report.json"
        return f"spine evaluate import RESULT --set EVAL_SET --entry {ref} --out report.json"
    if not spine.settings.eval_baseline.is_file():
        return f"spine baseline new {ref} --reason TEXT"
    return f"spine gate {ref}"


def _registered(args: argparse.Namespace, spine: Spine) -> Registration:
    from modelspine.release.registering import Given, register_folder, register_source

    source: str = args.source
    folder = Path(source)
    given = Given(corpora=tuple(args.corpus), parent=args.parent, seed=args.seed, report=args.eval)
    if not is_uri(source) and folder.is_dir():
        if args.path is not None or args.unfinished:
            raise BadInput(
                "--path and --unfinished are about MLflow, and the source is a folder of this machine",
                "leave them out, or give the folder itself",
            )
        with working("hashing the bundle"):
            return register_folder(spine, folder, given, follow=args.follow, local=args.local)
    for flag in ("follow", "local"):
        if getattr(args, flag):
            raise BadInput(f"--{flag} is for a folder of this machine, and the source is in MLflow", "leave it out")
    _check_source(source, args.path, spine)
    with working("asking MLflow"):
        return register_source(spine, source, given, path=args.path, unfinished=args.unfinished)


def _check_source(source: str, path: str | None, spine: Spine) -> None:
    """Refuse what cannot be in MLflow, before MLflow is imported, which takes seconds."""
    try:
        read_source(source, path)
    except BadInput:
        if is_uri(source) or path is not None:
            raise
        raise BadInput(
            f"there is no folder {visible(source, 120)!r}, and it cannot be a run id",
            f"give a bundle's folder, or {FORMS}",
        ) from None
    url = spine.settings.mlflow
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise Unavailable(
            f"there is no folder {visible(source, 80)!r}, and no MLflow store at {visible(url)} to ask for it",
            "give a bundle's folder, or set `mlflow` in spine.toml",
        )
