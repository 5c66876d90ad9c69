"""The files of a package with a new workload: a class with every method, a toy model and a test that passes.

The texts below are what a person goes on with, so they are written to be read. It does not know where they are written.
"""

from __future__ import annotations

import keyword
import re
import sys

from modelspine.errors import BadInput
from modelspine.text import visible

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_LONGEST = 40
_TAKEN = frozenset({"modelspine", "modelspine_console", "miniserve", "miniobserve", "minitutor", "test", "tests"})

_PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "NAME"
version = "0.1.0"
description = "The workload NAME of Spine."
requires-python = ">=3.11"
dependencies = ["modelspine"]

[project.optional-dependencies]
test = ["pytest"]

[project.entry-points."spine.workloads"]
NAME = "MODULE:CLASS"

[tool.setuptools]
py-modules = ["MODULE"]
"""

_MODULE = '''\
"""The workload NAME: a classifier of short texts. Put your own model in the place of the toy, and keep the methods.

`python MODULE.py` trains the toy and writes a bundle and an eval set into this folder.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections import Counter
from pathlib import Path

from modelspine.workload import Answer, Probe

ROWS = [
    ("where is my parcel", "delivery"),
    ("the parcel came too late", "delivery"),
    ("send the parcel to another address", "delivery"),
    ("give me my money back", "refund"),
    ("I want a refund for this order", "refund"),
    ("when do I get the money", "refund"),
]
"""What the toy learns from: a text and its label."""
ITEMS = [
    ("my parcel is late", "delivery"),
    ("another address please", "delivery"),
    ("money back please", "refund"),
    ("refund my order", "refund"),
]
"""What it is evaluated on; no model may be trained on these."""


def words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return re.findall(r"\\w+", text.lower())


class Model:
    """Naive Bayes: how often each word was seen with each label."""

    def __init__(self, counts: dict[str, dict[str, int]]) -> None:
        self.counts = counts
        self.known = {word for seen in counts.values() for word in seen}

    def answer(self, texts):
        """One answer per text, in order."""
        return [self.one(text) for text in texts]

    def one(self, text):
        """The label of one text, with the probability of each label."""
        began = time.perf_counter()
        found = [word for word in words(text) if word in self.known]
        logs = {label: self.log_likelihood(label, found) for label in sorted(self.counts)}
        best = max(logs, key=logs.get)
        shares = {label: math.exp(log - logs[best]) for label, log in logs.items()}
        total = sum(shares.values())
        return Answer(
            output=best,
            accepted=False,  # a classifier passes no text as already right
            in_scope=bool(found),
            fields={"probabilities": {label: share / total for label, share in shares.items()}},
            features=features(text),
            input_tokens=len(words(text)),
            output_tokens=1,
            stages={"decode": time.perf_counter() - began},
        )

    def log_likelihood(self, label, found):
        """The logarithm of the likelihood of some words under a label, with one count added to each word."""
        seen = self.counts[label]
        size = sum(seen.values()) + len(self.known)
        return sum(math.log((seen.get(word, 0) + 1) / size) for word in found)


def features(text):
    """What is known of a text without a model; drift and evaluation are divided by it."""
    return {"length": "short" if len(words(text)) < 4 else "long"}


class CLASS:
    """What Spine asks of a model service; `modelspine.workload.Workload` describes each member."""

    name, http_path, text_field, max_chars = "NAME", "/v1/NAME", "text", 2_000

    def load(self, bundle, parent):
        """Load the model of a bundle's folder."""
        return Model(json.loads((bundle / "model.json").read_text())["counts"])

    def features(self, text):
        """The categorical features of a text."""
        return features(text)

    def grade(self, text, output):
        """Whether an output is right; None where that is not known. This method is optional."""
        label = dict(ROWS + ITEMS).get(text)
        return None if label is None else output == label

    def probe(self, text, features):
        """What to look for when one answer is traced back: rows with the longest word of its text."""
        found = max(words(text or ""), key=len, default="")
        return Probe(
            label=f"the word {found}" if found else "this length",
            pattern=rf"(?i)\\b{found}\\b" if found else "",
            expected=dict(ROWS + ITEMS).get(text),
            buckets=(f"length/{features['length']}",) if "length" in features else (),
            mark="",
        )

    def evaluate(self, bundle, parent, eval_set, progress):
        """Count the right answers to an eval set: JSON lines with id, text and label."""
        raw = eval_set.read_bytes()
        items = [json.loads(line) for line in raw.splitlines()]
        answers = self.load(bundle, parent).answer([item["text"] for item in items])
        buckets, failed = {}, []
        for number, (item, answer) in enumerate(zip(items, answers, strict=True), 1):
            own = [f"label/{item['label']}", f"length/{answer.features['length']}"]
            right = answer.output == item["label"]
            for name in own:
                count = buckets.setdefault(name, {"k": 0, "n": 0})
                count["n"] += 1
                count["k"] += right
            if not right:
                failed.append({"id": item["id"], "buckets": own})
            progress(number, len(items))
        said = json.dumps([answer.output for answer in answers]).encode()
        return {
            "schema": "spine.eval/1",
            "eval_set": {
                "path": "eval.jsonl",  # from the project's folder
                "dvc_hash": hashlib.md5(raw).hexdigest(),
                "sha256": hashlib.sha256(raw).hexdigest(),
                "n": len(items),
            },
            "decoding": {"method": "naive Bayes"},
            "total": {"k": len(items) - len(failed), "n": len(items)},
            "buckets": buckets,
            "failed": failed,
            "answers_sha256": hashlib.sha256(said).hexdigest(),
        }


def train(rows, folder):
    """Train the toy and write its bundle: the model, its config, and what is known of the training."""
    counts: dict[str, Counter[str]] = {}
    for text, label in rows:
        counts.setdefault(label, Counter()).update(words(text))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(json.dumps({"counts": counts}, sort_keys=True))
    (folder / "config.json").write_text(json.dumps({"variant": "toy", "architecture": "naive Bayes"}))
    (folder / "train_manifest.json").write_text(json.dumps({"seed": "0"}))


def write_items(items, file):
    """Write an eval set."""
    rows = [{"id": f"item-{number}", "text": text, "label": label} for number, (text, label) in enumerate(items)]
    file.write_text("".join(json.dumps(row) + "\\n" for row in rows))


if __name__ == "__main__":
    here = Path()
    train(ROWS, here / "bundle")
    write_items(ITEMS, here / "eval.jsonl")
    report = CLASS().evaluate(here / "bundle", None, here / "eval.jsonl", lambda done, total: None)
    (here / "bundle" / "eval_report.json").write_text(json.dumps(report))
'''

_TEST = '''\
"""The workload NAME: it is found by its name, answers, and is evaluated. `pytest` in this folder runs it."""

import json

from modelspine.gate.eval_report import read_report
from modelspine.workload import load_workload

from MODULE import ITEMS, ROWS, CLASS, train, write_items


def test_it_is_installed():
    assert isinstance(load_workload("NAME"), CLASS)


def test_it_answers_what_it_has_learnt(tmp_path):
    train(ROWS, tmp_path)
    model = CLASS().load(tmp_path, None)
    answers = model.answer(["the parcel is late", "zebra"])
    assert answers[0].output == "delivery"
    assert answers[0].fields["probabilities"]["delivery"] > 0.5
    assert [answer.in_scope for answer in answers] == [True, False]


def test_its_report_is_one_that_the_gate_reads(tmp_path):
    train(ROWS, tmp_path / "bundle")
    write_items(ITEMS, tmp_path / "eval.jsonl")
    made = CLASS().evaluate(tmp_path / "bundle", None, tmp_path / "eval.jsonl", lambda done, total: None)
    report = read_report(json.dumps(made).encode())
    assert (report.total.k, report.total.n) == (4, 4)
    assert report.buckets["label/refund"].n == 2


def test_a_case_names_what_to_look_for():
    workload = CLASS()
    probe = workload.probe("my parcel is late", workload.features("my parcel is late"))
    assert "parcel" in probe.pattern
    assert (probe.expected, probe.buckets) == ("delivery", ("length/long",))
'''

_README = """\
# NAME

A workload of Spine. `MODULE.py` has the class and a toy model; put your own model in its place.

    pip install -e '.[test]' && pytest       # the package and its test
    python MODULE.py                         # a bundle and an eval set
    echo 'workload = "NAME"' > spine.toml && spine init
    spine register bundle

`docs/WORKLOAD.md` of Spine goes on from here.
"""


def package_files(name: str) -> dict[str, str]:
    """The files of a package, by their names in its folder.

    Raises:
        BadInput: a package cannot have that name.
    """
    module = name.replace("-", "_")
    if len(name) > _LONGEST or _NAME.fullmatch(name) is None:
        raise BadInput(
            f"{visible(name, 60)!r} cannot be the name of a workload",
            f"give small letters and digits, with single - or _ between them, at most {_LONGEST} characters",
        )
    if keyword.iskeyword(module) or module in sys.stdlib_module_names or module in _TAKEN:
        raise BadInput(f"{name!r} is the name of another Python module", "choose a name of your own")
    made = "".join(part.capitalize() for part in module.split("_")) + "Workload"
    texts = {
        "pyproject.toml": _PROJECT, f"{module}.py": _MODULE, f"test_{module}.py": _TEST, "README.md": _README,
    }  # fmt: skip
    return {
        file: text.replace("MODULE", module).replace("CLASS", made).replace("NAME", name)
        for file, text in texts.items()
    }
