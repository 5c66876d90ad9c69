"""Creates a project with a canary of two arms and a day of many requests, for the bench's reports.

Requests are varied copies of some two thousand, which are recorded as a server records them: with the tutor's features
and values, a price, stages and an assignment. Learners are sticky; each tenth request has none. The day before has a
fiftieth as many requests, as the reference of a drift report.
"""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import stores

from miniobserve.cost import busy_seconds
from miniobserve.rows import request_row
from miniobserve.schema import DAY_NS, MINUTE, NAMES, latency_slot
from miniobserve.traces import Trace
from miniobserve.writer import TraceWriter
from modelspine.drift.reference import Values
from modelspine.ledger.route import Arm, Assignment, Route, assign, ladder_body
from modelspine.ledger.store import Draft, Ledger
from modelspine.settings import load
from modelspine.traffic.ladder import default_ladder
from modelspine.workload import Answer, load_workload

DAY, BEFORE = "2026-03-02", "2026-03-01"
NUMBER = 20_514
"""``DAY`` in days since 1970."""
LEARNERS = 50_000
RATE = 0.05
VARIANTS = 2_000
_SUBJECTS = ("I", "You", "He", "She", "We", "They", "The teacher", "My friends")
_FORMS = ("goed", "went", "goes", "played", "plays", "watchs", "watches", "had", "haved", "were", "ate", "eats")
_ENDS = ("to school.", "at home.", "in the park.", "with Maria.", "after lunch.", "every day.")
_STARTS = ("Yesterday", "Every morning", "Last week", "Now")


def make(root: Path, requests: int, learners: int = LEARNERS) -> str:
    """Create the project and its live store, and return the store's URL."""
    route = _ledger(root)
    path = root / ".spine" / "traces.db"
    url = f"sqlite:///{path}"
    TraceWriter(url).close()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    insert = f"INSERT INTO requests ({', '.join(NAMES)}) VALUES ({', '.join('?' for _ in NAMES)})"
    connection.execute("BEGIN")
    for first_ns, count in ((DAY_NS * (NUMBER - 1), requests // 50), (DAY_NS * NUMBER, requests)):
        connection.executemany(insert, _rows(route, first_ns, count, learners))
    connection.execute(f"INSERT INTO touched (minute) SELECT DISTINCT {MINUTE} FROM requests")
    connection.execute("COMMIT")
    connection.close()
    TraceWriter(url).close()  # makes the sums
    return url


def _ledger(root: Path) -> Route:
    """Create a ledger of twenty entries with a canary, and return its route."""
    stores.ledger(root, 20)
    ledger = Ledger(load(root, environ={"SPINE_ROOT": str(root)}).ledger, actor="bench")
    shas = [hashlib.sha256(f"entry {number}".encode()).hexdigest() for number in (0, 10)]
    arms = [
        {"name": name, "sha": sha, "semver": semver, "weight_bp": weight}
        for name, sha, semver, weight in zip(
            ("stable", "canary"), shas, ("v0.0.0", "v0.1.0"), (5_000, 5_000), strict=True
        )
    ]
    body = {"strategy": "canary", "arms": arms, "ladder": ladder_body(default_ladder(5_000)), "reason": "bench"}
    events, _ = ledger.append([Draft(kind="routed", body={"sha": shas[1], **body})], expected=None)
    ledger.close()
    epoch = events[-1].seq
    return Route(strategy="canary", epoch=epoch, salt=str(epoch), arms=tuple(Arm(**arm) for arm in arms))


def _rows(route: Route, first_ns: int, count: int, learners: int) -> Iterator[tuple[object, ...]]:
    """Yield rows of requests, spread evenly over a day."""
    draw = random.Random(first_ns)
    made, at = _variants(route), {name: number for number, name in enumerate(NAMES)}
    names = ("request_id", "day", "trace_id", "started_ns", "arm", "u", "sticky", "unit_hash", "entry_sha", "seconds",
             "slot", "graded")  # fmt: skip
    places = [at[name] for name in names]
    shas = {arm.name: arm.sha for arm in route.arms}
    known = [assign(route, f"l{number}", sticky=True) for number in range(learners)]
    hashes = [hashlib.sha256(f"l{number}".encode()).hexdigest() for number in range(learners)]
    for number in range(count):
        started = first_ns + number * (DAY_NS // count)
        request_id = f"{started // 10**6:012x}{draw.getrandbits(80):020x}"
        given: Assignment
        if learners and number % 10:
            chosen = int(learners * draw.random() ** 2)  # some learners ask far more often than others
            given, unit = known[chosen], hashes[chosen]
        else:
            given, unit = assign(route, request_id, sticky=False), None
        seconds, arm = 0.002 + draw.random() / 50, given.arm
        values = (
            request_id, started // DAY_NS, f"{draw.getrandbits(128):032x}", started, arm, given.u, int(given.sticky),
            unit, shas[arm], seconds, latency_slot(seconds), int(draw.random() < 0.97),
        )  # fmt: skip
        row = list(made[draw.randrange(VARIANTS)])
        for place, value in zip(places, values, strict=True):
            row[place] = value
        yield tuple(row)


def _variants(route: Route) -> list[tuple[object, ...]]:
    """Rows of requests as a server records them."""
    draw, workload = random.Random(7), load_workload("minitutor")
    values, found = Values(workload), []
    nowhere = assign(route, "unassigned", sticky=True)
    for _ in range(VARIANTS):
        text = " ".join(map(draw.choice, (_STARTS, _SUBJECTS, _FORMS, _ENDS)))
        features = workload.features(text)
        answer = Answer(
            output=text.upper(), accepted=draw.random() < 0.5, in_scope=bool(features), input_tokens=9, output_tokens=9,
            fields={"score": draw.random()}, features=features, stages={},
        )  # fmt: skip
        recorded, code = values.of_answer(text, answer)
        names = ("queue", "tokenize", "prefill", "decode", "format", "other")
        stages = {name: draw.random() / 300 for name in names}
        found.append(request_row(Trace(
            request_id="", trace_id="", span_id="0" * 16, started_ns=0, entry_sha="", intended_sha="", semver="v0.1.0",
            assignment=msgspec.structs.replace(nowhere, unit=None), input=text, output=answer.output,
            accepted=answer.accepted, in_scope=answer.in_scope, graded=True, features=features, values=recorded,
            values_by=code, fields=answer.fields, stages=stages, seconds=0.0, input_tokens=draw.randrange(6, 12),
            output_tokens=draw.randrange(6, 12), cost=busy_seconds(stages) * RATE / 3600, rate_per_hour=RATE,
            price_version="2026-01", priced_by="busy/1", status=500 if draw.random() < 0.005 else 200,
        )))  # fmt: skip
    return found


if __name__ == "__main__":
    import sys

    print(json.dumps(make(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))))
