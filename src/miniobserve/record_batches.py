"""Turns traces into Arrow record batches, and any number of batches into one stream that DuckDB reads as a table.

Arrow is the one format in which rows reach DuckDB without being printed and parsed again, which would take longer than
all the rest. The buffers are built from plain lists and handed over by nanoarrow, so that neither NumPy nor pyarrow is
needed. This module knows no file.
"""

from __future__ import annotations

import ctypes
import errno
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from miniobserve.columns import STORED, columns_of
from miniobserve.sql.protocol import StorageError
from miniobserve.traces import Trace

if TYPE_CHECKING:
    from nanoarrow.c_array import CArray
    from nanoarrow.schema import Schema

BUCKET = "bucket"
"""A column that a batch may have behind those of a row: the bucket of the file that a row goes to."""


class OneBatch:
    """A single batch that DuckDB reads as a table, as often as it is asked to."""

    def __init__(self, batch: CArray) -> None:
        self._batch = batch

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The batch as Arrow's interface for streams."""
        return _nanoarrow().c_array_stream(self._batch).__arrow_c_stream__()


class _Stream(ctypes.Structure):
    """Arrow's C structure of a stream: four functions, and a pointer that only these use."""


_Get = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.c_void_p)
_Text = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Stream))
_Release = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_Stream._fields_ = [
    ("get_schema", _Get), ("get_next", _Get), ("get_last_error", _Text), ("release", _Release),
    ("private_data", ctypes.c_void_p),
]  # fmt: skip
_MESSAGE = ctypes.create_string_buffer(b"the rows could not be read")
_ARRAY_BYTES = 80
"""The size of Arrow's C structure of an array, which its specification fixes."""
_open: set[BatchStream] = set()
"""Streams that C may still call: nothing else keeps their functions alive."""


class BatchStream:
    """Batches that DuckDB takes one after the other while it reads, so that few of them are in memory; read once.

    An exception of the iterator ends DuckDB's query with an error of its own, and is kept in ``failure``.
    """

    def __init__(self, batches: Iterator[CArray], empty: CArray | None = None) -> None:
        """``empty`` is a batch without rows, with the schema of all others; by default that of traces."""
        self._batches = batches
        self._empty = empty
        self.failure: BaseException | None = None
        self._functions = (_Get(self._schema), _Get(self._next), _Text(self._error), _Release(self._released))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The stream as Arrow's interface for streams."""
        # DuckDB asks once for the schema and once for the rows; only the latter takes batches.
        from nanoarrow.c_array_stream import CArrayStream

        made = CArrayStream.allocate()
        struct = _Stream.from_address(made._addr())  # noqa: SLF001 -- nanoarrow's way to fill a structure
        struct.get_schema, struct.get_next, struct.get_last_error, struct.release = self._functions
        _open.add(self)
        return made.__arrow_c_stream__()

    def _schema(self, _stream: object, out: int) -> int:
        return _answer("get_schema", batch_of([], []) if self._empty is None else self._empty, out)

    def _next(self, _stream: object, out: int) -> int:
        try:
            batch = next(self._batches, None)
            if batch is None:
                ctypes.memset(out, 0, _ARRAY_BYTES)  # an array that was never filled ends a stream
                return 0
            return _answer("get_next", batch, out)
        except BaseException as error:  # noqa: BLE001 -- it cannot pass through C, so the caller raises it
            self.failure = error
            return errno.EIO

    def _error(self, _stream: object) -> int:
        return ctypes.addressof(_MESSAGE)

    def _released(self, stream: Any) -> None:
        stream.contents.release = _Release()
        _open.discard(self)


def batch_of(traces: Sequence[Trace], buckets: Sequence[int]) -> CArray:
    """Return the rows of some traces as a record batch; ``buckets`` are the values of its last column.

    Raises:
        UnicodeEncodeError: a text has a lone surrogate, which no stored trace has.
        OverflowError: a number does not fit into its column.
    """
    columns = columns_of(traces)
    makers, schema = _makers()
    made = [makers[kind](columns[name]) for name, kind in STORED.items()]
    return _array(schema, len(traces), [None], [*made, makers["INTEGER"](buckets)])


def batch_of_columns(kinds: Mapping[str, str], columns: Mapping[str, Sequence[Any]]) -> CArray:
    """Return columns of plain types (text, numbers) as a record batch; ``kinds`` are their types in DuckDB."""
    makers, _ = _makers()
    made = {name: makers[kind](columns[name]) for name, kind in kinds.items()}
    schema = _nanoarrow().struct({name: _nanoarrow().Schema(one.schema) for name, one in made.items()})
    length = len(next(iter(columns.values()), ()))
    return _array(schema, length, [None], list(made.values()))


def _answer(function: str, batch: CArray, out: int) -> int:
    """Let a stream that nanoarrow made of one batch write its schema or its array."""
    made = _nanoarrow().c_array_stream(batch)
    struct = _Stream.from_address(made._addr())  # noqa: SLF001
    code: int = getattr(struct, function)(ctypes.pointer(struct), out)
    return code


Maker = Callable[[Sequence[Any]], "CArray"]


@cache
def _makers() -> tuple[dict[str, Maker], Schema]:
    """Return what makes a column of each type in DuckDB, and the schema of a batch."""
    na = _nanoarrow()
    text, number, texts = na.string(), na.float64(), na.list_(na.string())

    def strings(values: Sequence[Any]) -> CArray:
        valid, filled = _validity(values, "")
        joined = "".join(filled)
        if joined.isascii():  # then a character is a byte
            return _array(text, len(filled), [valid, _offsets(filled), joined.encode()])
        encoded = [value.encode() for value in filled]
        return _array(text, len(encoded), [valid, _offsets(encoded), b"".join(encoded)])

    def numbers(kind: Schema, code: str) -> Maker:
        def made(values: Sequence[Any]) -> CArray:
            valid, filled = _validity(values, 0)
            return _array(kind, len(filled), [valid, array(code, filled)])

        return made

    def booleans(values: Sequence[Any]) -> CArray:
        valid, filled = _validity(values, False)
        return _array(na.bool_(), len(filled), [valid, _bits(filled)])

    def lists(kind: Schema, value: Maker) -> Maker:
        def made(values: Sequence[Any]) -> CArray:
            valid, filled = _validity(values, ())
            inner = value(list(chain.from_iterable(filled)))
            return _array(kind, len(filled), [valid, _offsets(filled)], [inner])

        return made

    def maps(kind: Schema, value: Maker) -> Maker:
        entry = na.struct({"key": na.string(nullable=False), "value": kind})

        def made(values: Sequence[Any]) -> CArray:
            keys = strings(list(chain.from_iterable(values)))
            inner = value(list(chain.from_iterable(map(dict.values, values))))
            entries = _array(entry, keys.length, [None], [keys, inner])
            return _array(na.map_(text, kind), len(values), [None, _offsets(values)], [entries])

        return made

    doubles, many = numbers(number, "d"), na.list_(number)
    makers: dict[str, Maker] = {
        "VARCHAR": strings, "BOOLEAN": booleans, "DOUBLE": doubles,
        "BIGINT": numbers(na.int64(), "q"), "INTEGER": numbers(na.int32(), "i"),
        "MAP(VARCHAR, VARCHAR)": maps(text, strings), "MAP(VARCHAR, DOUBLE)": maps(number, doubles),
        "MAP(VARCHAR, VARCHAR[])": maps(texts, lists(texts, strings)), "DOUBLE[]": lists(many, doubles),
    }  # fmt: skip
    kinds = {name: makers[kind]([]).schema for name, kind in STORED.items()}
    kinds[BUCKET] = na.c_schema(na.int32())
    return makers, na.struct({name: na.Schema(kind) for name, kind in kinds.items()})


def _array(kind: Schema, length: int, buffers: Sequence[Any], children: Sequence[CArray] = ()) -> CArray:
    return _nanoarrow().c_array_from_buffers(kind, length, buffers, children=children, validation_level="none")


def _validity(values: Sequence[Any], filler: Any) -> tuple[bytes | None, Sequence[Any]]:
    """Return which values are there, as a bitmap or None if all are, and the values with the others filled in."""
    if None not in values:
        return None, values
    if not any(value is not None for value in values):
        return bytes(-(-len(values) // 8)), [filler] * len(values)
    return _bits([value is not None for value in values]), [filler if value is None else value for value in values]


def _bits(flags: Sequence[bool]) -> bytes:
    """Pack flags into bits, the first one lowest."""
    digits = "".join("1" if flag else "0" for flag in reversed(flags))
    return int(digits or "0", 2).to_bytes(-(-len(flags) // 8), "little")


def _offsets(values: Sequence[Any]) -> array[int]:
    """Return where each value begins and the last one ends."""
    return array("i", accumulate(map(len, values), initial=0))


def _nanoarrow() -> Any:
    try:
        import nanoarrow
    except ImportError as error:
        wrong = f"nanoarrow, which hands rows to DuckDB, cannot be imported: {error}"
        raise StorageError("unavailable", wrong, "pip install 'modelspine[parquet]'") from error
    return nanoarrow
