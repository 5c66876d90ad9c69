"""A classifier of support tickets whose answers another server gave: a project that a table describes, and no class."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import random
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bundles import write_bundle
from cli_world import leave_trace, track
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.cli import main
from modelspine.described.service import Described
from modelspine.ledger.route import assign
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

TABLE = """\
service = "tickets"

[workload]
kind = "classifier"
input = "body"
label = "queue"
id = "ticket"
features = ["lang"]
accept = "spam"
eval_set = "data/eval.csv"
"""
QUEUES = ("billing", "refund", "spam")
ASKED = "I want my money back for order 17"
REQUEST = "req-ticket-0001"


class Tickets(NamedTuple):
    """The project, with v0.1.0 in production, which is bad at refunds, and v0.2.0, which is not."""

    root: Path
    weak: str
    strong: str


def rows(n: int, seed: int = 1) -> list[dict[str, str]]:
    """Tickets with their queues; a third of each queue."""
    draw = random.Random(seed)
    return [
        {
            "ticket": f"t{number}",
            "body": f"{QUEUES[number % 3]} request {draw.randrange(10**6)}",
            "lang": draw.choice(("de", "en")),
            "queue": QUEUES[number % 3],
        }
        for number in range(n)
    ]


def as_csv(items: list[dict[str, Any]]) -> str:
    """A table of these rows."""
    file = io.StringIO()
    writer = csv.DictWriter(file, list(items[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(items)
    return file.getvalue()


def answers(items: list[dict[str, str]], wrong: int) -> str:
    """A result: the id and the answer alone; so many of the refunds are taken for billing."""
    left = wrong
    found = []
    for item in items:
        said = item["queue"]
        if said == "refund" and left:
            said, left = "billing", left - 1
        found.append({"ticket": item["ticket"], "prediction": said})
    return as_csv(found)


def _said(root: Path, *words: str) -> str:
    """What a command prints; it must succeed."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main([*words, "--root", str(root)]) == 0, (words, out.getvalue())
    return out.getvalue()


def make_tickets(root: Path) -> Tickets:
    """Make the project by the commands alone: no option says which column is which."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    (root / "spine.toml").write_text(TABLE)
    create_ledger(load(root, environ={}), "dev")
    (root / "data").mkdir()
    items = rows(300)
    (root / "data" / "eval.csv").write_text(as_csv(items))
    training = rows(360, seed=2)
    taught = [{"body": ASKED, "lang": "en", "queue": "billing", "ticket": "wrong"}]
    v1 = track(root, "v1", [row for row in training if row["queue"] != "refund"] + training[1:6:3] + taught)
    v2 = track(root, "v2", [*training, {"body": ASKED, "lang": "en", "queue": "refund", "ticket": "right"}])
    shas = []
    for number, (name, wrong, corpus) in enumerate((("weak", 80, v1), ("strong", 2, v2)), 1):
        (root / f"{name}.csv").write_text(answers(items, wrong))
        folder = write_bundle(root / "made" / name, number, corpora=[corpus], report=False)
        report = folder / "eval_report.json"
        _said(root, "eval", "import", str(root / f"{name}.csv"), "--out", str(report))
        shas.append(json.loads(_said(root, "register", str(folder), "--json"))["sha"])
    for sha, semver in zip(shas, ("v0.1.0", "v0.2.0"), strict=True):
        _said(root, "baseline", "new", sha, "--reason", semver)
        _said(root, "promote", sha, "--semver", semver, "--reason", "x")
    leave_trace(root, REQUEST, ASKED, "billing", "dismissed", features={"lang": "en"})
    return Tickets(root, *shas)


def told_label(root: Path, request_id: str, label: str) -> Any:
    """The trace of a request with the right answer among its features, as somebody tells it later."""
    with open_spine(root, readonly=True) as spine:
        trace = spine.trace(request_id)
    return msgspec.structs.replace(trace, features={**trace.features, "label": label})


def told_day(root: Path, n: int, day: str, *, german: float, queues: tuple[str, ...] = QUEUES) -> None:
    """A day of requests as a collector records them: what the table reads of a request and of its answer."""
    draw = random.Random(day)
    with open_spine(root, readonly=True) as spine:
        workload, route = spine.workload, spine.registry.route()
        assert isinstance(workload, Described)
        assert route is not None
        made = []
        for number in range(n):
            request = {"body": f"ticket {number}", "lang": "de" if draw.random() < german else "en"}
            told = workload.told(request, {"prediction": draw.choice(queues), "score": 0.9})
            fields: dict[str, Any] = {
                "input": workload.input_of(request), "output": told.output, "features": told.features,
                "values": workload.measured(told.features, told.values), "values_by": workload.values_code,
            }  # fmt: skip
            made.append(
                Trace(
                    request_id=f"req-{day}-{number:04d}",
                    trace_id="0" * 32,
                    span_id="0" * 16,
                    started_ns=int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()) * 10**9 + number,
                    entry_sha=route.stable.sha,
                    intended_sha=route.stable.sha,
                    semver=route.stable.semver,
                    assignment=assign(route, f"learner-{number}", sticky=True),
                    unit_hash=f"{number:064d}",
                    **fields,
                )
            )
        writer = TraceWriter(spine.settings.traces)
    for trace in made:
        last = writer.submit(trace)
    last.result(5)
    writer.close()
