"""Rows written into a ledger past Spine, as somebody can who may write to the database's file: well chained."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import rfc8785

Spell = Callable[[bytes], bytes]


def append_row(file: Path, kind: str, body: Any, *, spell: Spell | None = None, **over: Any) -> int:
    """Append a row to a SQLite ledger and return its seq; ``spell`` rewrites its bytes, ``over`` its other fields."""
    with closing(sqlite3.connect(file)) as db:
        seq, prev, at = db.execute(
            "SELECT seq, hash, json_extract(CAST(event AS TEXT), '$.at') FROM events ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        event = {"seq": seq + 1, "at": at, "actor": "eve", "host": "here", "kind": kind, "body": body, "prev": prev}
        event |= over
        raw = rfc8785.dumps({name: value for name, value in event.items() if value is not ...})
        raw = spell(raw) if spell is not None else raw
        key = body.get("key") if isinstance(body, dict) else None
        row = (seq + 1, raw, hashlib.sha256(raw).hexdigest(), key)
        db.execute("INSERT INTO events VALUES (?, CAST(? AS TEXT), ?, ?)", row)
        db.commit()
    return int(seq) + 1


def run_sql(file: Path, *statements: str) -> None:
    """Run statements on the database's file."""
    with closing(sqlite3.connect(file)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()
