"""What is said of answers later: found by id, and in every figure when it arrives, is corrected or taken back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniobserve import fold as folding
from miniobserve import labelled
from miniobserve.archive import Archive
from miniobserve.export import export_day
from miniobserve.fold import fold
from miniobserve.labels import of_traces
from miniobserve.reader import TraceReader
from miniobserve.saying import Saying, Stored
from miniobserve.search import Question
from miniobserve.search_terms import Term
from miniobserve.sql.open import connect
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import TraceWriter
from observed import DAY_NS, MONDAY_NS

MakeTrace = Callable[..., Trace]
EPOCH, N = 9, 12
MONDAY = "2026-03-02"
SPAN = (MONDAY_NS, MONDAY_NS + 2 * DAY_NS)
GRADED = {"graded": "SELECT request_id, graded FROM {rows} WHERE graded IS NOT NULL ORDER BY 1"}
TRACE_ID = "a" * 32
SHAS = {"stable": "e" * 64, "canary": "c" * 64}


def name(number: int) -> str:
    return f"request-{number:03d}"


def at(number: int, arm: str = "") -> Assignment:
    arm = arm or ("canary" if number % 2 else "stable")
    return Assignment(
        strategy="canary", epoch=EPOCH, salt="8", arm=arm, bucket=1, sticky=True, u=f"{number % 4:016x}"
    )  # fmt: skip


@pytest.fixture
def kept(writer: TraceWriter, trace: MakeTrace) -> list[Trace]:
    """Answers without a grade but for two, on two days, and a shadow copy of the first eight, which answers refund."""
    made = [
        trace(
            name(n), started_ns=MONDAY_NS + n % 2 * DAY_NS + n, assignment=at(n), entry_sha=SHAS[at(n).arm],
            output="refund" if n % 3 else "other", graded=True if n in (3, 4) else None, accepted=n % 3 == 0,
            trace_id=TRACE_ID if n in (1, 2) else f"{n:032x}",
        )
        for n in range(N)
    ]  # fmt: skip
    copies = [
        msgspec.structs.replace(
            live, request_id=f"copy-{live.request_id}", shadow_of=live.request_id, output="refund", graded=None,
            assignment=msgspec.structs.replace(live.assignment, arm="shadow"),
        )
        for live in made[:8]
    ]  # fmt: skip
    for future in [writer.submit(each) for each in (*made, *copies)]:
        future.result(10)
    return made + copies


def say(writer: TraceWriter, *sayings: Saying) -> list[Stored]:
    return writer.say(sayings).result(10)


def statuses(done: list[Stored]) -> list[str]:
    return [each.status for each in done]


class Figures(msgspec.Struct, frozen=True):
    """What every figure says: (graded, right) of each arm and of a day, and the grade of each request."""

    arms: dict[str, tuple[int, int]]
    shadow: tuple[int, int]
    pairs: int
    recent: dict[str, tuple[int, int]]
    """SHA of an entry → (right, graded)."""
    folded: dict[str, bool]
    traces: dict[str, bool | None]


def figures(url: str, folder: Path) -> Figures:
    reader = TraceReader.open(url, folder)
    units, copies = reader.evidence.units(EPOCH), reader.evidence.units(EPOCH, copies=True)
    buckets = reader.requests.buckets(*SPAN)
    found = Figures(
        arms={
            arm: (sum(u.graded for u in units if u.arm == arm), sum(u.right for u in units if u.arm == arm))
            for arm in ("stable", "canary")
        },
        shadow=(sum(u.graded for u in copies), sum(u.right for u in copies)),
        pairs=sum(pair.n for pair in reader.evidence.pairs(EPOCH)),
        recent=reader.recent.grades([EPOCH], *SPAN).entries,
        folded={row[0]: row[1] for row in fold(buckets, GRADED, {})["graded"] if not row[0].startswith("copy")},
        traces={t.request_id: t.graded for t in reader.list(limit=100).traces if t.shadow_of is None},
    )
    reader.close()
    return found


def expected(labels: dict[int, str]) -> Figures:
    """The same, counted by hand."""
    grades: dict[int, bool] = {3: True, 4: True}
    grades |= {n: label == ("refund" if n % 3 else "other") for n, label in labels.items()}
    by_copy = {n: label == "refund" for n, label in labels.items() if n < 8}
    by_arm = {arm: [right for n, right in grades.items() if at(n).arm == arm] for arm in ("stable", "canary")}
    return Figures(
        arms={arm: (len(some), sum(some)) for arm, some in by_arm.items()},
        shadow=(len(by_copy), sum(by_copy.values())),
        pairs=len(by_copy),
        recent={SHAS[arm]: (sum(some), len(some)) for arm, some in by_arm.items() if some},
        folded={name(n): right for n, right in grades.items()},
        traces={name(n): grades.get(n) for n in range(N)},
    )


@pytest.mark.parametrize("pruned", [False, True], ids=["live", "pruned"])
@pytest.mark.long
def test_every_figure_follows_a_label(
    kept: list[Trace], writer: TraceWriter, url: str, folder: Path, *, pruned: bool
) -> None:
    """It arrives, is said again, corrected and taken back; of a pruned day too, and whatever the order."""
    labels = {0: "other", 1: "other", 3: "refund", 7: "refund"}
    if pruned:
        say(writer, Saying(name=name(2), label="refund"))  # before the day is closed
        labels[2] = "refund"
        assert figures(url, folder) == expected({2: "refund"})
        export_day(url, Archive(folder), MONDAY, prune=True)
        assert figures(url, folder) == expected({2: "refund"})
    assert kept
    given = [Saying(name=name(n), label=label) for n, label in labels.items()]
    first = say(writer, *given)
    assert [s for s, n in zip(statuses(first), labels, strict=True) if n != 2] == ["stored"] * 4
    assert figures(url, folder) == expected(labels)
    assert statuses(say(writer, *given)) == ["unchanged"] * len(given)
    corrected = say(writer, Saying(name=name(0), label="refund"), Saying(name=name(7), label="other"))
    assert statuses(corrected) == ["corrected"] * 2
    assert [each.graded for each in corrected] == [False, False]
    labels |= {0: "refund", 7: "other"}
    assert figures(url, folder) == expected(labels)
    for number in (0, 3):
        assert statuses(say(writer, Saying(name=name(number), taken_back=True))) == ["corrected"]
        del labels[number]
    assert figures(url, folder) == expected(labels)
    reader = TraceReader.open(url, folder)
    said = reader.said(name(0))
    assert [(each.label, each.taken_back, each.graded) for each in said] == [
        ("other", False, True), ("refund", False, False), (None, True, None),
    ]  # fmt: skip
    reader.close()


def test_the_test_of_figures_sees_a_store_that_forgets_labels(
    kept: list[Trace], writer: TraceWriter, url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broken twins: sums without the difference, and a fold without the labels."""
    assert kept
    say(writer, *[Saying(name=name(n), label="other") for n in range(8)])
    right = expected(dict.fromkeys(range(8), "other"))
    assert figures(url, folder) == right
    monkeypatch.setattr(labelled, "_CHANGED", "0, 0")
    monkeypatch.setattr("miniobserve.evidence.unit_changes", lambda *_a, **_k: [])
    monkeypatch.setattr(folding, "_labelled", lambda relation, *_: relation)
    broken = figures(url, folder)
    wrong = {field for field in Figures.__struct_fields__ if getattr(broken, field) != getattr(right, field)}
    assert wrong == {"arms", "shadow", "recent", "folded"}


def test_requests_of_a_trace_are_found_without_reading_all(kept: list[Trace], url: str) -> None:
    assert kept
    database = connect(url)
    with database.transaction() as tx:
        condition, params = of_traces(tx, [TRACE_ID, f"{5:032x}"])
        query = f"SELECT request_id FROM requests WHERE shadow_of IS NULL AND {condition}"
        assert sorted(tx.execute(query, params)) == [(name(n),) for n in (1, 2, 5)]
        explain = "EXPLAIN" if tx.partitioned else "EXPLAIN QUERY PLAN"
        plan = [str(row[-1]) for row in tx.execute(f"{explain} {query}", params)]
    database.close()
    index = "requests_trace (day=? AND <expr>=?)" if explain != "EXPLAIN" else "Index"
    assert any(index in step for step in plan), plan
    assert not [step for step in plan if "SCAN requests" in step or "Seq Scan" in step]


def test_a_trace_id_names_its_only_request(kept: list[Trace], writer: TraceWriter, url: str, folder: Path) -> None:
    assert kept
    one, several, none = say(
        writer,
        Saying(name=f"{5:032x}", label="refund"),
        Saying(name=TRACE_ID, is_trace=True, label="refund"),
        Saying(name="b" * 32, label="refund"),
    )
    assert (one.status, one.request_id, one.graded) == ("stored", name(5), True)
    assert (several.status, several.requests) == ("several", (name(1), name(2)))
    assert none.status == "unknown"
    export_day(url, Archive(folder), MONDAY, prune=True)
    (late,) = say(writer, Saying(name=f"{6:032x}", is_trace=True, label="refund"))
    assert (late.status, late.request_id) == ("stored", name(6))


def test_labels_are_found_in_live_and_closed_days(
    kept: list[Trace], writer: TraceWriter, url: str, folder: Path
) -> None:
    assert kept
    export_day(url, Archive(folder), MONDAY, prune=True)
    say(writer, Saying(name=name(2), label="other", score=0.2, text="I was charged twice"))
    say(writer, Saying(name=name(3), label="refund", outcome="dismissed"))
    reader = TraceReader.open(url, folder)
    trace = reader[name(2)]
    assert (trace.label, trace.score, trace.said_text, trace.graded) == ("other", 0.2, "I was charged twice", False)
    assert trace.feedback is None
    assert [t.request_id for t in reader.list(label="refund").traces] == [f"copy-{name(3)}", name(3)]
    wrong = [t.request_id for t in reader.list(graded="wrong").traces if t.shadow_of is None]
    assert wrong == [name(3), name(2)]
    assert name(2) not in {t.request_id for t in reader.list(graded="none", limit=50).traces}
    question = Question(terms=(Term("other", "label"), Term("wrong", "graded")))
    assert {t.request_id for t in reader.search(question).traces} == {name(2), f"copy-{name(2)}"}
    assert {t.request_id for t in reader.list(outcome="dismissed").traces} == {name(3)}
    say(writer, Saying(name=name(3), taken_back=True))
    assert not reader.list(outcome="dismissed").traces
    assert reader[name(3)].feedback is None
    reader.close()


def test_what_is_not_said_stays_as_it_is(kept: list[Trace], writer: TraceWriter, url: str) -> None:
    assert kept
    say(writer, Saying(name=name(1), outcome="dismissed"))
    say(writer, Saying(name=name(1), label="refund"))
    say(writer, Saying(name=name(1), text="months later"))
    reader = TraceReader.open(url)
    trace = reader[name(1)]
    assert (trace.feedback, trace.label, trace.said_text, trace.graded) == ("dismissed", "refund", "months later", True)
    assert len(reader.said(name(1))) == 3
    reader.close()


def test_two_writers_lose_nothing_that_is_said_at_once(kept: list[Trace], writer: TraceWriter, url: str) -> None:
    """Each says another field of the same answers."""
    assert kept
    other = TraceWriter(url)
    futures: list[Any] = []
    for n in range(N):
        futures.append(writer.say([Saying(name=name(n), label="refund")]))
        futures.append(other.say([Saying(name=name(n), text=f"text {n}")]))
    for future in futures:
        future.result(10)
    other.close()
    reader = TraceReader.open(url)
    for n in range(N):
        trace = reader[name(n)]
        assert (trace.label, trace.said_text) == ("refund", f"text {n}")
    reader.close()


def test_a_store_without_the_columns_gets_them(kept: list[Trace], writer: TraceWriter, url: str) -> None:
    """Its table of feedback is as it was before labels."""
    assert kept
    assert writer.feedback(name(1), "dismissed").result(10)
    writer.close()
    database = connect(url)
    with database.transaction() as tx:
        tx.execute("DROP INDEX feedback_graded")
        for column in ("label", "score", "said_text", "graded", "own", "accepted", "said_by"):
            tx.execute(f"ALTER TABLE feedback DROP COLUMN {column}")
        tx.execute("DROP TABLE feedback_history")
    database.close()
    again = TraceWriter(url)
    assert statuses(say(again, Saying(name=name(1), label="other"))) == ["corrected"]
    again.close()
    reader = TraceReader.open(url)
    assert (reader[name(1)].feedback, reader[name(1)].graded) == ("dismissed", False)
    reader.close()


@pytest.mark.parametrize(
    "saying",
    [
        Saying(name="request-001"), Saying(name="request-001", taken_back=True, label="x"),
        Saying(name="request-001", score=float("nan")), Saying(name="request-001", outcome="loved"),
        Saying(name="request-001", text="\0"), Saying(name="request-001", label="\ud800"),
        Saying(name="request-001", text="x" * 10_001),
    ],
)  # fmt: skip
@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_cannot_be_stored_is_refused(writer: TraceWriter, saying: Saying) -> None:
    with pytest.raises(ValueError, match=r"nothing is said|taken_back|must|cannot be stored"):
        writer.say([saying])
