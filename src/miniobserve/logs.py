"""Log formatting: one JSON object per line in printable ASCII, so that no client can send a terminal control codes.

It does not decide what is logged.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any, TextIO

_LONGEST = 2000
"""Most characters of one field, since a client controls the content of some."""


class JsonLines(logging.Formatter):
    """Formats a log record as JSON; ``extra={"fields": {...}}`` adds fields to the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON."""
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
    """Encode fields as one line of JSON in printable ASCII."""
    short = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in fields.items()}
    # json.dumps escapes everything outside ASCII and every control character except DEL (0x7f).
    return json.dumps(short, ensure_ascii=True, default=str).replace("\x7f", "\\u007f")


def log_to(stream: TextIO, *, level: int = logging.INFO, names: tuple[str, ...] = ("miniserve",)) -> None:
    """Send the records of these loggers to ``stream`` as JSON lines, and to no other handler."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
