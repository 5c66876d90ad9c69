"""Arrays as PostgreSQL's binary parameters.

psycopg writes a list as text and escapes every quote in it with a regular expression, which takes longer than all else
for rows that hold JSON.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from psycopg import Connection
from psycopg.abc import DumperKey
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format

_OIDS = {"TEXT": 25, "BIGINT": 20, "INTEGER": 23, "DOUBLE PRECISION": 701}
_PACKED = {"BIGINT": struct.Struct("!iq"), "INTEGER": struct.Struct("!ii"), "DOUBLE PRECISION": struct.Struct("!id")}
_ARRAYS = {"TEXT": 1009, "BIGINT": 1016, "INTEGER": 1007, "DOUBLE PRECISION": 1022}
_LENGTH = struct.Struct("!i")
_HEADER = struct.Struct("!iiiii")
_NULL = _LENGTH.pack(-1)


class Array:
    """A one-dimensional array of one of the SQL types of ``sql.protocol.Column``; None is NULL."""

    def __init__(self, kind: str, values: Sequence[Any]) -> None:
        """Encode it.

        Raises:
            ValueError, TypeError: a value is not of that type.
        """
        self.oid = _ARRAYS[kind]
        parts = [_HEADER.pack(1, int(None in values), _OIDS[kind], len(values), 1)]
        packed = _PACKED.get(kind)
        try:
            if packed is None:
                for value in values:
                    if value is None:
                        parts.append(_NULL)
                    else:
                        encoded = value.encode()
                        if b"\0" in encoded:
                            raise ValueError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
                        parts += (_LENGTH.pack(len(encoded)), encoded)
            else:
                size, pack = packed.size - 4, packed.pack
                parts += [_NULL if value is None else pack(size, value) for value in values]
        except struct.error as error:
            raise ValueError(f"a number is out of range: {error}") from error
        self.data = b"".join(parts)


_KINDS: dict[int, type] = {oid: type(f"Array{oid}", (), {}) for oid in _ARRAYS.values()}
"""A class for each type, because psycopg keeps one dumper for each key of classes."""


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def get_key(self, obj: Array, format: PyFormat) -> DumperKey:  # noqa: A002, ARG002 -- psycopg's name
        return (self.cls, _KINDS[obj.oid])

    def upgrade(self, obj: Array, format: PyFormat) -> _ArrayDumper:  # noqa: A002, ARG002 -- psycopg's name
        made = _ArrayDumper(self.cls)
        made.oid = obj.oid
        return made

    def dump(self, obj: Array) -> bytes:
        return obj.data


def register(connection: Connection[Any]) -> None:
    """Let a connection take ``Array`` as a parameter."""
    connection.adapters.register_dumper(Array, _ArrayDumper)
