"""Results that give measures alone: those of scikit-learn, lm-evaluation-harness and Hugging Face.

A share of right items with a known number of items becomes a count; every other measure becomes a score, an exact
fraction with a direction. A measure of which nothing says whether more or less is better is refused, because the gate
would have to guess. Without the items there are no flips.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

import msgspec

from modelspine.errors import BadInput
from modelspine.gate.eval_report import Count, Score
from modelspine.release.result_items import ALL, Counted
from modelspine.release.result_numbers import exact, fraction_score, items_right
from modelspine.text import visible

Better = Literal["higher", "lower"]
_SHARES = ("accuracy", "acc", "exact_match", "em", "acc_norm")
"""Measures that are shares of right items, the one that decides first."""
_RATES: Mapping[str, Better] = {
    **dict.fromkeys((*_SHARES, "norm", "match", "f1", "precision", "recall", "mcc", "correlation", "auc"), "higher"),
    **dict.fromkeys(("pearsonr", "spearmanr", "pearson", "spearman", "mrr", "ndcg", "iou", "map"), "higher"),
    **dict.fromkeys(("wer", "cer", "mer", "ece"), "lower"),
}
_VALUES: Mapping[str, Better] = {
    **dict.fromkeys(("bleu", "chrf", "rouge1", "rouge2", "rougel", "rougelsum", "meteor", "r2"), "higher"),
    **dict.fromkeys(("loss", "perplexity", "ter", "mse", "rmse", "mae"), "lower"),
}
_BY_WHOLE_NAME: Mapping[str, Better] = {"brier_score": "lower", "bits_per_byte": "lower"}
_NO_MEASURES = frozenset({
    "epoch", "step", "runtime", "samples", "samples_per_second", "steps_per_second", "flos", "total_flos",
    "total_time_in_seconds", "latency_in_seconds", "number", "length_ratio", "brevity_penalty", "translation_length",
    "reference_length", "sys_len", "ref_len", "support", "mem_cpu_alloc_delta", "mem_gpu_alloc_delta",
    "mem_cpu_peaked_delta", "mem_gpu_peaked_delta",
})  # fmt: skip
"""What stands beside the measures in such files, and measures nothing of the answers."""
_PREFIXES = ("eval_", "test_", "predict_")
_LARGEST_RATE = 10
"""A rate above it is in per cent; an error rate may be somewhat above 1."""
_HARNESS_SETTINGS = ("gen_kwargs", "limit", "num_fewshot", "fewshot_as_multiturn", "chat_template_sha",
                     "system_instruction_sha")  # fmt: skip


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the reader of a result says about its measures."""

    right: str | None = None
    """The share that says how many items were right; None takes the first known one."""
    higher: frozenset[str] = frozenset()
    lower: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


def read_sklearn(data: Mapping[str, Any], choice: Choice, what: str) -> Counted:
    """``classification_report(..., output_dict=True)``: recall is a bucket of each class, precision and F1 are scores.

    Raises:
        BadInput: it is none, or several labels of one item are possible, so that it does not count items.
    """
    buckets, scores = {}, {}
    for name, row in data.items():
        if not isinstance(row, dict) or name.endswith(" avg"):
            continue
        recall, precision, support = (
            exact(row.get(part), f"{part} of “{visible(name, 40)}” in {what}")
            for part in ("recall", "precision", "support")
        )
        if support.denominator != 1 or support < 0:
            raise BadInput(
                f"the support of “{visible(name, 40)}” is no number of items", "give what scikit-learn wrote"
            )
        if not support:
            continue  # a class without items has no recall; its false positives are in the others' recall
        right = items_right(recall, int(support), f"the recall of “{visible(name, 40)}”")
        buckets[f"class/{name}"] = Count(right, int(support))
        scores[f"precision/{name}"] = _precision(right, precision)
    average = data.get("macro avg")
    if isinstance(average, dict):
        value = exact(average.get("f1-score"), f"the macro average of F1 in {what}")
        scores["f1/macro avg"] = fraction_score(value, Fraction(1), better="higher", scale="rate")
    total = Count(sum(count.k for count in buckets.values()), sum(count.n for count in buckets.values()))
    if "accuracy" not in data or not total.n or _accuracy(data, total.n, what) != total.k:
        raise BadInput(
            f"{what} has no accuracy that fits its classes, so it does not say how many items were right",
            "give a report of one label an item (output_dict=True, as JSON), or a file with a line for each item",
        )
    kept = {name: score for name, score in scores.items() if name not in choice.without}
    return Counted(n=total.n, total=total, buckets=buckets, scores=kept, decoding={"right": "class"})


def _accuracy(data: Mapping[str, Any], n: int, what: str) -> int:
    return items_right(exact(data["accuracy"], f"the accuracy in {what}"), n, "the accuracy")


def _precision(right: int, precision: Fraction) -> Score:
    """Right answers of all that named a class; of a precision that was not rounded, with both numbers."""
    named = right / precision if precision and right else Fraction(0)
    if named and abs(named - round(named)) < Fraction(1, 10**6):
        return fraction_score(Fraction(right), Fraction(round(named)), better="higher", scale="rate")
    return fraction_score(precision, Fraction(1), better="higher", scale="rate")


def read_huggingface(data: Mapping[str, Any], choice: Choice, what: str, n: int | None) -> Counted:
    """A flat file of measures, as ``evaluate.save`` and ``Trainer.save_metrics`` write it.

    ``n`` is the number of items of the eval set, for a file that does not say it.

    Raises:
        BadInput: it has no measures, or does not say of how many items they are.
    """
    found = dict(_flat(data))
    items = next((data[f"{prefix}samples"] for prefix in _PREFIXES if f"{prefix}samples" in data), n)
    if not isinstance(items, int) or isinstance(items, bool) or items < 1:
        raise BadInput(
            f"{what} does not say of how many items its measures are",
            "give --set the eval set as JSON lines or CSV, whose items are counted",
        )
    measures = {name: value for name, value in found.items() if name not in choice.without}
    right = _right(list(measures), choice)
    if right is None and (choice.right is not None or not measures):
        some = ", ".join(visible(name, 40) for name in list(measures)[:12]) or "none"
        raise BadInput(
            f"{what} has no such share of right items; its measures: {some}", "name one of them with --right"
        )
    total = None
    if right is not None:
        total = Count(items_right(exact(measures.pop(right), right), items, f"“{visible(right, 40)}”"), items)
    scores = {name: _score(name, value, choice, what) for name, value in measures.items()}
    buckets = {ALL: total} if total is not None else {}
    decoding = {"right": right} if right is not None else {}
    return Counted(n=items, total=total, buckets=buckets, scores=scores, decoding=decoding)


def _flat(data: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The numbers of a file by name, those of a nested object as ``PER/recall``; texts and lists are no measures."""
    for key, value in data.items():
        name = next((key.removeprefix(prefix) for prefix in _PREFIXES if key.startswith(prefix)), key)
        if key.startswith(("_", "train_")):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}/")
        elif _is_number(value) and name.lower() not in _NO_MEASURES:
            yield f"{before}{name}", value


def read_harness(data: Mapping[str, Any], choice: Choice, what: str) -> Counted:
    """The results of lm-evaluation-harness: the chosen share of each task is a bucket, everything else is a score.

    Raises:
        BadInput: no task says how many items it has.
    """
    results, sizes = data.get("results"), data.get("n-samples")
    if not isinstance(results, dict) or not all(isinstance(row, dict) for row in results.values()):
        raise BadInput(f"{what} has no results of tasks", "give the results file of lm-evaluation-harness")
    stated = data.get("higher_is_better") or {}
    buckets, scores, rights = {}, {}, {}
    for task, row in results.items():
        measures = {key.removesuffix(",none"): value for key, value in row.items() if _is_measure(key, value)}
        measures = {name: value for name, value in measures.items() if not {name, f"{name}/{task}"} & choice.without}
        n = _effective(sizes, task)
        own = _directed(choice, stated.get(task) if isinstance(stated, dict) else None)
        right = _right(list(measures), choice) if n else None
        for name, value in measures.items():
            where = f"“{visible(name, 40)}” of {visible(task, 40)}"
            if n and (name == right or _base(name) in _SHARES):
                count = Count(items_right(exact(value, where), n, where), n)
                buckets[f"task/{task}" if name == right else f"{name}/{task}"] = count
            else:
                scores[f"{name}/{task}"] = _score(name, value, own, what)
        if right is not None:
            rights[task] = right
    counted = [buckets[f"task/{task}"] for task in rights]
    n = sum(count.n for count in counted) or sum(_effective(sizes, task) or 0 for task in results)
    if not n or (not counted and (buckets or not scores or choice.right is not None)):
        raise BadInput(
            f"{what} does not say of any task how many of its items were right, or how many items it has",
            "give the samples file (--log_samples), which has a line for each item",
        )
    total = Count(sum(count.k for count in counted), n) if counted else None
    return Counted(n=n, total=total, buckets=buckets, scores=scores, decoding=_harness_settings(data, rights))


def harness_tasks(data: Mapping[str, Any]) -> dict[str, Any]:
    """What identifies the items of a harness's tasks, where no file of items is given: versions, sizes and hashes."""
    return {key: data[key] for key in ("versions", "n-samples", "task_hashes") if isinstance(data.get(key), dict)}


def _harness_settings(data: Mapping[str, Any], rights: Mapping[str, str]) -> dict[str, Any]:
    config = data.get("config")
    config = config if isinstance(config, dict) else {}
    settings = {name: config[name] for name in _HARNESS_SETTINGS if config.get(name) is not None}
    shots = {"n-shot": data["n-shot"]} if isinstance(data.get("n-shot"), dict) else {}
    return {"right": dict(rights), **settings, **shots}


def _effective(sizes: Any, task: str) -> int | None:
    """How many items of a task were evaluated; None where the file does not say it, as for a group of tasks."""
    said = sizes.get(task) if isinstance(sizes, dict) else None
    n = said.get("effective") if isinstance(said, dict) else None
    return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else None


def _directed(choice: Choice, stated: Any) -> Choice:
    """The choice with the directions that the harness states; what the reader says wins."""
    said = {name: up for name, up in (stated if isinstance(stated, dict) else {}).items() if isinstance(up, bool)}
    higher = frozenset(name for name, up in said.items() if up) - choice.lower
    lower = frozenset(name for name, up in said.items() if not up) - choice.higher
    return msgspec.structs.replace(choice, higher=choice.higher | higher, lower=choice.lower | lower)


def _is_measure(key: str, value: Any) -> bool:
    return _is_number(value) and key != "samples" and not key.partition(",")[0].endswith("_stderr")


def _right(names: Sequence[str], choice: Choice) -> str | None:
    """The share that says how many items were right: the one that was named, or the first known one."""
    if choice.right is not None:
        return next((name for name in names if choice.right in (name, _base(name))), None)
    return next((name for share in _SHARES for name in names if _base(name) == share), None)


def _score(name: str, value: Any, choice: Choice, what: str) -> Score:
    """A measure as a score, with the direction that was given or that its name has.

    Raises:
        BadInput: nothing says whether more or less of it is better.
    """
    number = exact(value, f"“{visible(name, 40)}” in {what}")
    base = _base(name)
    better = _direction(name, base, choice)
    if better is None:
        raise BadInput(
            f"nothing says whether more or less of “{visible(name, 60)}” is better",
            f"give --higher {visible(name, 60)} or --lower {visible(name, 60)}; --without leaves it out of the report",
        )
    is_rate = base.rpartition("_")[2] in _RATES or _is_pass(base)
    is_rate = is_rate and abs(number) <= (_LARGEST_RATE if better == "lower" else 1)
    return fraction_score(number, Fraction(1), better=better, scale="rate" if is_rate else "value")


def _direction(name: str, base: str, choice: Choice) -> Better | None:
    if {name, base} & choice.higher:
        return "higher"
    if {name, base} & choice.lower:
        return "lower"
    word = base.rpartition("_")[2]
    return _BY_WHOLE_NAME.get(base) or _RATES.get(word) or _VALUES.get(word) or ("higher" if _is_pass(base) else None)


def _is_pass(base: str) -> bool:
    """Whether a measure is ``pass@k``, of any k."""
    return base.startswith("pass@")


def _base(name: str) -> str:
    """The measure of ``acc,flexible-extract`` or ``PER/recall`` in small letters, without what it was measured on."""
    return name.rpartition("/")[2].partition(",")[0].strip().lower()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
