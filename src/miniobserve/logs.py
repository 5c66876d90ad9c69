"""Logs as one JSON object a line, in printable ASCII: no control byte of a client's reaches a terminal.

It does not know what is worth logging.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, TextIO

_LONGEST = 2000
"""Characters of one field; a client chooses some of them."""


class JsonLines(logging.Formatter):
    """Formats a record; what is passed as ``extra={"fields": {...}}`` stands beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        fields: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = self.formatException(record.exc_info)
        return json_line(fields)


def json_line(fields: dict[str, Any]) -> str:
    """Fields as one line of printable ASCII."""
    short = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in fields.items()}
    # json escapes what is not ASCII and every control sign but this one.
    return json.dumps(short, ensure_ascii=True, default=str).replace("\x7f", "\\u007f")


def log_to(stream: TextIO, *, level: int = logging.INFO, names: tuple[str, ...] = ("miniserve",)) -> None:
    """Send these loggers to ``stream`` as JSON lines, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
