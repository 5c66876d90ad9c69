"""What gets in: bodies under the cap, one kind of JSON, requests under the rate."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miniserve.limits import MAX_BODY, RateLimit, parse_object, read_body
from miniserve.replies import Problem


def receiving(*parts: bytes) -> Any:
    waiting = [{"type": "http.request", "body": part, "more_body": n < len(parts)} for n, part in enumerate(parts, 1)]
    taken: list[Any] = []

    async def receive() -> Any:
        taken.append(waiting.pop(0))
        return taken[-1]

    receive.taken = taken  # type: ignore[attr-defined]
    return receive


def headers(**values: bytes | Iterable[bytes]) -> dict[bytes, list[bytes]]:
    return {
        name.replace("_", "-").encode(): [value] if isinstance(value, bytes) else list(value)
        for name, value in values.items()
    }


async def test_a_body_within_the_cap_is_read_whole() -> None:
    body = b"x" * MAX_BODY
    assert await read_body(headers(content_length=b"10240"), "POST", receiving(body[:7], body[7:])) == body
    assert await read_body(headers(transfer_encoding=b"chunked"), "POST", receiving(b"a", b"b", b"")) == b"ab"
    assert await read_body({}, "GET", receiving(b"")) == b""


@pytest.mark.parametrize(
    ("given_headers", "status"),
    [
        (headers(content_length=b"10241"), 413),
        (headers(content_length=b"999999999999"), 413),
        (headers(content_length=b"-1"), 400),
        (headers(content_length=b"1e3"), 400),
        (headers(content_length=(b"5", b"6")), 400),
        (headers(content_length=b"5", content_encoding=b"gzip"), 415),
        (headers(content_length=b"5", content_encoding=(b"identity", b"br")), 415),
        ({}, 411),
    ],
)
async def test_what_a_header_gives_away_is_refused_before_reading(
    given_headers: dict[bytes, list[bytes]], status: int
) -> None:
    receive = receiving(b"12345")
    with pytest.raises(Problem) as caught:
        await read_body(given_headers, "POST", receive)
    assert caught.value.status == status
    assert receive.taken == []


async def test_a_chunked_body_is_read_no_further_than_the_cap() -> None:
    receive = receiving(*[b"x" * 1000] * 1000)
    with pytest.raises(Problem) as caught:
        await read_body(headers(transfer_encoding=b"chunked"), "POST", receive)
    assert caught.value.status == 413
    assert len(receive.taken) == 11


async def test_a_client_that_went_away_is_no_body() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    assert await read_body(headers(content_length=b"5"), "POST", gone) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\\ud800"}',
        b'{"\\udc00": 1}',
        b'{"a": "\xff"}',
        b"[" * 5000,
        b'{"a":' * 2000,
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 1} x',
        "{}".encode("utf-16"),
    ],
)
def test_what_is_not_one_plain_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Problem) as caught:
        parse_object(body)
    assert caught.value.status == 400


def test_a_byte_order_mark_is_ignored() -> None:
    assert parse_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(-(2**60), 2**60), st.none())))
def test_a_plain_object_is_read_as_it_was_written(value: dict[str, Any]) -> None:
    assert parse_object(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_problem(body: bytes) -> None:
    try:
        found: Any = parse_object(body)
    except Problem as problem:
        found = problem
    assert isinstance(found, dict) or found.status == 400


def test_a_rate_lets_a_second_through_at_once_and_then_says_how_long_to_wait() -> None:
    now = [0.0]
    limit = RateLimit(2.0, clock=lambda: now[0])
    limit.take()
    limit.take()
    with pytest.raises(Problem) as caught:
        limit.take()
    assert caught.value.status == 429
    assert caught.value.headers["Retry-After"] == "1"
    now[0] = 0.5
    limit.take()
    with pytest.raises(Problem):
        limit.take()


def test_a_slow_rate_still_lets_one_through() -> None:
    now = [0.0]
    limit = RateLimit(0.1, clock=lambda: now[0])
    limit.take()
    with pytest.raises(Problem) as caught:
        limit.take()
    assert caught.value.headers["Retry-After"] == "10"
    now[0] = 10.0
    limit.take()
