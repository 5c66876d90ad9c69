"""Request ids and trace context: what is kept of a caller's, and what a fresh one looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniobserve.ids import child_span, fresh_request_id, fresh_span, is_request_id, learner_of

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("abcd1234", True),
        ("A.b-c_9.", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("a" * 7, False),
        ("", False),
        ("abcd1234\n", False),
        ("abcd 1234", False),
        ("abcd/1234", False),
        ("ábcd1234", False),
        ("١٢٣٤٥٦٧٨", False),
    ],
)
def test_a_callers_id_is_kept_where_well_formed(text: str, kept: bool) -> None:
    assert is_request_id(text) is kept


def test_fresh_ids_are_well_formed_distinct_and_sort_by_age() -> None:
    ids = [fresh_request_id() for _ in range(2000)]
    assert all(is_request_id(request_id) for request_id in ids)
    assert len(set(ids)) == len(ids)
    assert ids[0][:12] <= ids[-1][:12]


def test_a_child_continues_its_parents_trace() -> None:
    span = child_span(PARENT)
    assert span.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert span.span_id != "b7ad6b7169203331"
    assert child_span(span.traceparent).trace_id == span.trace_id
    assert child_span(f"01{PARENT[2:]}-future").trace_id == span.trace_id


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"ff{PARENT[2:]}",
        f"{PARENT}-more",
        PARENT.upper(),
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        PARENT + "\n",
    ],
)
def test_a_header_that_is_not_well_formed_starts_a_trace_of_its_own(header: str | None) -> None:
    assert child_span(header).trace_id != "0af7651916cd43dd8448eb211c80319c"


@given(st.text())
def test_no_header_breaks_it(header: str) -> None:
    assert len(child_span(header).traceparent) == len(fresh_span().traceparent) == 55


@pytest.mark.parametrize(
    ("given", "one"),
    [
        ("u1", "u1"),
        (" u1\u00a0\u2003", "u1"),
        ("jose\u0301", "jos\u00e9"),
        ("\u1112\u1161\u11ab", "\ud55c"),
        ("a b", "a b"),
        ("U1", "U1"),
        ("\u0646\u200c\u0627", "\u0646\u200c\u0627"),
        ("u1\u200d \u200c", "u1"),
        ("   ", None),
        ("\u3000", None),
    ],
)
def test_a_learner_has_one_spelling(given: str, one: str | None) -> None:
    assert learner_of(given) == one


@pytest.mark.parametrize(
    "bad", ["u1\n", "\tu1", "u\x001", "\x85", "u1\u200b", "\ufeffu1", "\u202eu1", "u\u20281", "\ud800"]
)
def test_a_learner_with_a_character_that_cannot_be_seen_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="cannot be seen"):
        learner_of(bad)


@given(st.text())
def test_a_learners_spelling_is_stable(text: str) -> None:
    try:
        one = learner_of(text)
    except ValueError:
        return
    assert one is None or learner_of(one) == one


@pytest.mark.parametrize("spelt", ["u\u00a01", "u  1", "u 1\ufe0f", "u\u3000 1 ", "\ufe0fu 1"])
def test_what_looks_the_same_is_one_learner(spelt: str) -> None:
    assert learner_of(spelt) == "u 1"


@pytest.mark.parametrize("blank", ["\u115f", "\u2800", "\u3164", "u1\uffa0"])
def test_a_filler_that_nobody_sees_is_refused(blank: str) -> None:
    with pytest.raises(ValueError, match="cannot be seen"):
        learner_of(blank)
