"""A log line is one JSON object in printable ASCII, whatever a client sent."""

from __future__ import annotations

import io
import json
import logging

from hypothesis import given
from hypothesis import strategies as st

from miniobserve.logs import json_line, log_to


@given(st.text())
def test_a_line_holds_no_raw_control_sign_and_says_the_same(text: str) -> None:
    line = json_line({"text": text})
    assert all(" " <= sign <= "~" for sign in line)
    assert json.loads(line)["text"] == text


def test_a_long_field_is_cut() -> None:
    assert len(json_line({"text": "x" * 100_000})) < 3000


def test_a_failure_is_one_line_with_its_traceback() -> None:
    stream = io.StringIO()
    log_to(stream, names=("test-logs",))
    logger = logging.getLogger("test-logs")
    try:
        raise ValueError("bad \x1b[31m\nthing")
    except ValueError:
        logger.exception("failed", extra={"fields": {"request_id": "abcd1234"}})
    logger.info("fine")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    first = json.loads(lines[0])
    assert first["request_id"] == "abcd1234"
    assert first["level"] == "error"
    assert "bad \x1b[31m" in first["exception"]
    assert "\x1b" not in lines[0]
