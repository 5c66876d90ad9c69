"""Rows of lines, JSON, CSV, TSV and Parquet, searched and taken as objects with a text, whatever the columns."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from modelspine.errors import BadInput, Damaged
from modelspine.lineage.corpora import Corpora

PLAIN = b"he went\nshe goed\n"
FORMATS: dict[str, tuple[bytes, list[str]]] = {
    "rows.txt": (PLAIN, ["he went", "she goed"]),
    "rows": (PLAIN, ["he went", "she goed"]),
    "lines-of-json": (b'{"text":"he went"}\n[1]\n{"text":"she goed"}\n', ["he went", "she goed"]),
    "rows.jsonl": (b'{"text":"he went"}\nnot json\n{"n":1,"text":"she goed"}\n', ["he went", "she goed"]),
    "rows.csv": (b'id,text\n1,"he ""went""\nhome"\n2,she goed\n', ['he "went"\nhome', "she goed"]),
    "spreadsheet.csv": ("\ufeffSentence;n\nhe went;1\nshe goed;2\n".encode(), ["he went", "she goed"]),
    "rows.tsv": (b"n\tsentence\tnote\n1\the went, home\tx\n2\tshe goed\ty\n", ["he went, home", "she goed"]),
    "one.csv": (b"utter\nhe went\nshe goed\n", ["he went", "she goed"]),
    "ragged.csv": (b"text,\nhe went,1,2\n\nshe goed\n", ["he went", "she goed"]),
}


def track(root: Path, name: str, raw: bytes) -> str:
    """A tracked file in a folder without git; returns its hash."""
    (root / ".dvc").mkdir(exist_ok=True)
    (root / name).write_bytes(raw)
    dvc_hash = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    (root / f"{name}.dvc").write_text(f"outs:\n- md5: {dvc_hash}\n  hash: md5\n  path: {name}\n")
    return dvc_hash


@pytest.mark.parametrize("name", FORMATS)
def test_rows_of_each_format_are_searched_and_read(tmp_path: Path, name: str) -> None:
    raw, expected = FORMATS[name]
    dvc_hash = track(tmp_path, name, raw)
    corpora = Corpora(tmp_path)
    assert [row["text"] for row in corpora.rows(dvc_hash)] == expected
    found = corpora.search(dvc_hash, "go.d")
    assert (found.matched, found.sha256) == (1, hashlib.sha256(raw).hexdigest())
    assert "she goed" in found.shown[0].text
    assert corpora.verify(dvc_hash).rows == found.rows
    (tmp_path / name).write_bytes(raw + b"1\n")
    for look in (lambda: list(corpora.rows(dvc_hash)), lambda: corpora.search(dvc_hash, "x")):
        with pytest.raises(Damaged, match="has MD5"):
            look()


def parquet(file: Path, query: str) -> bytes:
    import duckdb

    duckdb.sql(f"COPY ({query}) TO '{file}' (FORMAT parquet)")
    return file.read_bytes()


def test_rows_of_parquet_are_read_from_verified_bytes(tmp_path: Path) -> None:
    raw = parquet(tmp_path / "made", "SELECT 'she goed' AS sentence, 2 AS n, DATE '2026-01-02' AS day")
    dvc_hash = track(tmp_path, "rows.parquet", raw)
    corpora = Corpora(tmp_path)
    assert corpora.search(dvc_hash, "goed").shown[0].text == '{"day":"2026-01-02","n":2,"sentence":"she goed"}'
    assert list(corpora.rows(dvc_hash)) == [{"day": "2026-01-02", "n": 2, "sentence": "she goed", "text": "she goed"}]
    read = corpora.verify(dvc_hash)
    assert (read.rows, read.sha256) == (1, hashlib.sha256(raw).hexdigest())
    (tmp_path / "rows.parquet").write_bytes(raw + b"x")
    for look in (lambda: list(corpora.rows(dvc_hash)), lambda: corpora.search(dvc_hash, "x")):
        with pytest.raises(Damaged, match="has MD5"):
            look()
    broken = track(tmp_path, "broken.parquet", b"PAR1 but not really")
    with pytest.raises(BadInput, match="Parquet file cannot be read"):
        corpora.search(broken, "x")
    assert (corpora.verify(broken).md5, corpora.verify(broken).rows) == (broken, None)


@pytest.mark.parametrize(
    ("setting", "prefer", "row", "text"),
    [
        ("", (), {"text": "a", "sentence": "b"}, "a"),
        ("", ("body",), {"body": "a", "sentence": "b"}, "a"),
        ("", (), {"n": "1", "Question": "a"}, "a"),
        ("", (), {"n": 1, "whatever": "a"}, "a"),
        ("", (), {"one": "a", "two": "b"}, None),
        ("two", ("one",), {"text": "x", "one": "a", "two": "b"}, "b"),
        ("two", (), {"text": "x"}, "x"),
    ],
)
def test_the_text_is_in_the_column_of_the_setting_or_the_likeliest_one(
    tmp_path: Path, setting: str, prefer: tuple[str, ...], row: dict[str, Any], text: str | None
) -> None:
    import json

    dvc_hash = track(tmp_path, "rows.jsonl", json.dumps(row).encode() + b"\n")
    (found,) = Corpora(tmp_path, text=setting).rows(dvc_hash, prefer)
    assert found.get("text") == text


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows", "rows.txt"])
def test_what_has_no_rows_says_so(tmp_path: Path, name: str) -> None:
    dvc_hash = track(tmp_path, name, b"\0\1\2" * 99)
    for look in (
        lambda: Corpora(tmp_path).search(dvc_hash, "x"),
        lambda: list(Corpora(tmp_path).rows(dvc_hash)),
    ):
        with pytest.raises(BadInput, match=f"rows of {name} cannot be read: it is not text"):
            look()
    assert Corpora(tmp_path).verify(dvc_hash).md5 == dvc_hash
