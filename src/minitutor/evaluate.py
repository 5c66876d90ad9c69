"""Evaluation: answers every item of an eval set and counts the results into a ``spine.eval/1`` report.

An item is correct if the whole corrected sentence is. This module does not know baselines or thresholds.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol

import msgspec

from minitutor import corpus, explain, parse, pins
from minitutor.answers import Answer
from minitutor.corpus import Row
from minitutor.problems import BadInput


class Model(Protocol):
    """What answers the items: a tutor, or one whose texts are spread over several processes."""

    def answer(self, texts: Sequence[str]) -> Sequence[Answer]:
        """One answer per text, in order."""
        ...


DECODING: Final = {"method": "constrained", "lattice": "verb forms", "choice": "most likely"}
_CHUNK: Final = 1024
"""Items answered between two reports of progress: enough for several processes to have work until its end."""


def evaluate(tutor: Model, eval_set: Path, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Answer every item and return the report; ``progress`` is called with (done, total)."""
    data = eval_set.read_bytes()
    try:
        items = corpus.decode(data)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{eval_set} is not a corpus: {error}", "create it: `python -m minitutor corpus`") from error
    if not items:
        raise BadInput(f"{eval_set} contains no items", "create it: `python -m minitutor corpus`")
    began = perf_counter()
    # Items of similar length share a shape and so a batch; the order does not affect the answers.
    order = sorted(range(len(items)), key=lambda at: (len(items[at].text), at))
    outputs = [""] * len(items)
    for first in range(0, len(order), _CHUNK):
        part = order[first : first + _CHUNK]
        for at, answer in zip(part, tutor.answer([items[at].text for at in part]), strict=True):
            outputs[at] = answer.output
        progress(min(first + _CHUNK, len(order)), len(order))
    return report(items, outputs, path=eval_set, data=data, seconds=perf_counter() - began)


def report(items: Sequence[Row], outputs: Sequence[str], *, path: Path, data: bytes, seconds: float) -> dict[str, Any]:
    """Count the answers into buckets and views."""
    n: Counter[str] = Counter()
    k: Counter[str] = Counter()
    failed: list[dict[str, Any]] = []
    digest = hashlib.sha256()
    cells: dict[str, dict[str, dict[str, int]]] = {}
    wrong = passed = 0
    for item, output in zip(items, outputs, strict=True):
        names = (
            *explain.buckets(item.verb, item.tense, item.person, item.error_type),
            f"vocabulary/{item.vocabulary}",
        )
        right = output == item.correction
        n.update(names)
        k.update(names if right else ())
        cell = cells.setdefault(item.verb, {}).setdefault(item.tense, {"k": 0, "n": 0})
        cell["k"] += right
        cell["n"] += 1
        if not right:
            failed.append({"id": item.id, "buckets": list(names)})
        if item.text != item.correction:
            wrong += 1
            passed += output == item.text
        digest.update(msgspec.json.encode([item.id, output]) + b"\n")
    buckets = {name: {"k": k[name], "n": n[name]} for name in sorted(n)}
    total = {"k": len(items) - len(failed), "n": len(items)}
    root = _root(path)
    return {
        "schema": "spine.eval/1",
        "eval_set": {
            "path": _relative(path, root),
            "dvc_hash": hashlib.md5(data, usedforsecurity=False).hexdigest(),
            "sha256": hashlib.sha256(data).hexdigest(),
            "n": len(items),
        },
        "decoding": DECODING,
        "total": total,
        "buckets": buckets,
        "false_accept": {"k": passed, "n": wrong},
        "failed": failed,
        "answers_sha256": digest.hexdigest(),
        "code": pins.code_version(root),
        "views": views(buckets, total) | {"verb_by_tense": cells, **covered(items, outputs)},
        "runtime": {"seconds": round(seconds, 3), **pins.versions("numpy", "tokenizers")},
    }


def views(buckets: dict[str, dict[str, int]], total: dict[str, int]) -> dict[str, Any]:
    """Return the accuracies under the names that reports and users refer to, as ratios of the counts."""

    def by(axis: str) -> dict[str, float]:
        return {
            name.removeprefix(f"{axis}/"): count["k"] / count["n"]
            for name, count in buckets.items()
            if name.startswith(f"{axis}/")
        }

    return {
        "conjugation_accuracy": total["k"] / total["n"],
        "conjugation_accuracy_by_verb": by("verb"),
        "conjugation_accuracy_by_tense": by("tense"),
        "conjugation_accuracy_by_person": by("person"),
        "conjugation_accuracy_by_error": by("error"),
        "conjugation_accuracy_by_vocabulary": by("vocabulary"),
    }


def covered(items: Sequence[Row], outputs: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count the items that the lesson covers, and how many of all their verbs are correct in the answers.

    An answer replaces words but adds none, so each word that differs from the correction is one wrong verb.
    """
    verbs = wrong = known = 0
    for item, output in zip(items, outputs, strict=True):
        found = len(parse.clauses(item.text))
        known += found > 0
        verbs += max(found, 1)
        said, right = output.split(), item.correction.split()
        if len(said) == len(right):
            wrong += sum(one != other for one, other in zip(said, right, strict=True))
        else:
            wrong += 1  # the correction adds or removes words, so words cannot be compared one by one
    return {"in_scope": {"k": known, "n": len(items)}, "verbs_right": {"k": verbs - wrong, "n": verbs}}


def _root(path: Path) -> Path:
    """Return the checkout that contains a file, or the file's folder."""
    folder = path.resolve().parent
    return next((up for up in (folder, *folder.parents) if (up / ".git").exists()), folder)


def _relative(path: Path, root: Path) -> str:
    return path.resolve().relative_to(root).as_posix()
