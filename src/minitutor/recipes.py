"""The recipes for variants of a parent: its INT8 form, a LoRA adapter, and a deliberately degraded candidate.

A recipe describes its parameters before it runs, so that they are recorded even if it fails. This module does not know
how bundles are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from minitutor import adapter, corpus, grid, quantise, weights
from minitutor.corpus import Row
from minitutor.deriving import Made, Recipe
from minitutor.parents import Parent
from minitutor.problems import BadInput
from minitutor.profiles import Tuning
from minitutor.progress import progress
from minitutor.tokenizer import Codec
from minitutor.training import read_corpus, relative, rows_of


def quantised(parent: Parent) -> Recipe:
    """Return the recipe for weight-only INT8, which involves no training, so its corpora are its parent's."""

    def make(parent: Parent) -> Made:
        found = weights.read(parent.folder)
        shape = msgspec.structs.replace(found.shape, variant=quantise.VARIANT)
        return Made(config=shape, tensors=quantise.quantise(found.tensors), tokenizer=_tokenizer(parent))

    return Recipe(
        variant=quantise.VARIANT,
        seed=None,
        corpora=parent.corpora,
        described=_described(parent),
        settings={"scheme": "per-channel symmetric", "bits": 8},
        make=make,
    )


def tuned(parent: Parent, path: Path, root: Path, *, tuning: Tuning, seed: int) -> Recipe:
    """Return the recipe for a LoRA adapter trained on the rows of a corpus that are new to the parent.

    Raises:
        BadInput: the corpus has no new rows, or the parent's corpora are not here to compare with.

    """
    data = read_corpus(path)
    rows = rows_of(path, data)
    known = _known(parent, root)
    if all(row.text in known for row in rows):
        raise BadInput(f"{path} has no rows that are new to the parent", "give a corpus with new rows: --corpus")
    described = corpus.manifest(relative(path, root), data, rows)

    def make(parent: Parent) -> Made:
        from minitutor import lora

        found = weights.read(parent.folder)
        chosen = lora.mixture(rows, known, tuning, str(seed))
        with progress("finetuning") as advance:
            done = lora.tune(
                chosen, Codec.read(parent.folder / "tokenizer.json"), found.shape, found.tensors,
                seed=str(seed), tuning=tuning, advance=advance,
            )  # fmt: skip
        config = adapter.Adapter(rank=tuning.rank, alpha=tuning.alpha, parent_digest=weights.digest(parent.folder))
        news = sum(row.text not in known for row in chosen)
        notes = {"rows": len(chosen), "controls": len(chosen) - news, "loss": done.curve[-1][1]}
        return Made(config=config, tensors=done.tensors, tokenizer=None, curve=done.curve, notes=notes)

    return Recipe(
        variant=adapter.VARIANT,
        seed=seed,
        corpora=[{name: described[name] for name in ("path", "dvc_hash", "sha256", "rows")}],
        described=described,
        settings=msgspec.to_builtins(tuning),
        make=make,
    )


def regressed(parent: Parent, eval_set: Path, *, seed: int) -> Recipe:
    """Return the recipe for a full bundle with weights disturbed until about 5 % more past participles are wrong."""
    items = [row for row in rows_of(eval_set, read_corpus(eval_set)) if row.tense == grid.PARTICIPLE]
    if not items:
        raise BadInput(f"{eval_set} contains no past participles", "give the eval set that the gate uses")

    def make(parent: Parent) -> Made:
        from minitutor import regress

        found = weights.read(parent.folder)
        codec = Codec.read(parent.folder / "tokenizer.json")
        with progress("searching the strength") as advance:
            worse = regress.search(found.shape, found.tensors, codec, items, seed=seed, advance=advance)
        notes = {"strength": worse.strength, "participles": {"before": worse.before, "after": worse.after}}
        return Made(config=found.shape, tensors=worse.tensors, tokenizer=_tokenizer(parent), notes=notes)

    return Recipe(
        variant=weights.FULL,
        seed=seed,
        corpora=parent.corpora,
        described=_described(parent),
        settings={"scheme": "disturbed", "bucket": f"tense/{grid.PARTICIPLE}"},
        make=make,
    )


def _tokenizer(parent: Parent) -> str:
    return (parent.folder / "tokenizer.json").read_text(encoding="utf-8")


def _described(parent: Parent) -> dict[str, Any] | None:
    path = parent.folder / "corpus_manifest.json"
    return msgspec.json.decode(path.read_bytes(), type=dict[str, Any]) if path.is_file() else None


def _known(parent: Parent, root: Path) -> frozenset[str]:
    """Return the texts that the parent was trained on."""
    rows: list[Row] = []
    for one in parent.corpora:
        path = root / str(one.get("path"))
        data = read_corpus(path)
        if corpus.digest(data) != one.get("dvc_hash"):
            raise BadInput(f"{path} is not the corpus {parent.name} was trained on", "`python -m minitutor corpus`")
        rows += rows_of(path, data)
    return frozenset(_texts(rows))


def _texts(rows: Sequence[Row]) -> list[str]:
    return [row.text for row in rows]
