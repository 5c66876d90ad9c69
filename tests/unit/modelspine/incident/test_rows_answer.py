"""What answer 4 says where a corpus has no column by which its rows could be compared with the case."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import pack_forger
from bundles import write_bundle
from cli_world import leave_trace, track
from modelspine.incident.finding import Finding
from modelspine.incident.pack import pack
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

DIGEST = "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"
PHOTO = json.dumps({"bytes": 5, "sha256": DIGEST})
READER = '[workload]\nkind = "generator"\ninput = "photo"\n'
SORTER = '[workload]\nkind = "classifier"\ninput = "photo"\nlabel = "animal"\n'
FORM = '[workload]\nkind = "regressor"\ninput = ["plan", "region"]\nlabel = "price"\ntolerance = 1\n'
FORM_INPUT = '{"plan":"pro","region":"eu"}'
NAMED = [{"file": "a.png", "animal": "cat"}]
HASHED = [{"file": "b.png", "animal": "dog", "sha256": "0" * 64}]


def answer(root: Path, table: str, text: str, *corpora: list[dict[str, Any]], other: Any = None) -> Finding:
    """Answer 4 of a request about ``text``, by an entry that was trained on these rows; its pack has to verify."""
    (root / "spine.toml").write_text(table)
    create_ledger(load(root, environ={}), "dev")
    named = [track(root, f"c{number}", rows) for number, rows in enumerate(corpora)]
    if other:
        track(root, "other", other)
    with open_spine(root) as spine:
        sha = spine.registry.register(write_bundle(root / "made", 1, corpora=named)).sha
        spine.registry.promote(sha, "v0.1.0", reason="x")
    leave_trace(root, "req-rows-0001", text, "cat")
    with open_spine(root) as spine:
        walk = spine.incident("req-rows-0001")
        pack(spine, walk, "", root / "pack.zip")
    shutil.unpack_archive(root / "pack.zip", root / "pack")
    code, out = pack_forger.verdict(root / "pack", pack_forger.program_of(root / "pack"))
    assert code == 0, out
    return walk.answers[3]


def test_bytes_are_not_said_to_be_in_no_row_of_a_corpus_without_digests(tmp_path: Path) -> None:
    found = answer(tmp_path, READER, PHOTO, NAMED)
    assert found.status == "missing"
    assert found.answer == (
        "rows that contain the same bytes cannot be searched for: data/c0.jsonl has no column “sha256”"
    )
    assert "matched" not in found.evidence
    assert found.evidence["lacking"] == {"data/c0.jsonl": ("sha256",)}


def test_a_corpus_with_digests_is_searched(tmp_path: Path) -> None:
    found = answer(tmp_path, READER, PHOTO, HASHED)
    assert (found.status, found.answer) == ("verified", "0 of 1 rows contain the same bytes")


def test_of_two_corpora_the_one_that_lacks_the_column_is_named(tmp_path: Path) -> None:
    found = answer(tmp_path, READER, PHOTO, HASHED, NAMED)
    assert (found.status, found.answer) == (
        "verified", "0 of 2 rows contain the same bytes; data/c1.jsonl has no column “sha256”",
    )  # fmt: skip


def test_the_label_is_counted_where_only_the_digest_is_lacking(tmp_path: Path) -> None:
    found = answer(tmp_path, SORTER, PHOTO, NAMED)
    assert found.status == "verified"
    assert found.answer == (
        "1 of 1 rows contain the label “cat”; rows with the same bytes cannot be searched for: data/c0.jsonl has no "
        "column “sha256”"
    )
    assert "same" not in found.evidence


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([{"plan": "pro", "price": 3}], "“region”"), ([{"price": 3}], "“plan”, “region”"),
        ([{"plan": "pro"}, {"region": "eu"}], ""), ([{"plan": "pro", "region": None}], ""),
    ],
)  # fmt: skip
def test_each_column_that_no_row_has_is_named(tmp_path: Path, rows: list[dict[str, Any]], names: str) -> None:
    found = answer(tmp_path, FORM, FORM_INPUT, rows)
    assert found.status == ("missing" if names else "verified")
    assert found.answer.endswith(f" has no column {names}" if names else "rows contain the same plan, region")


def test_a_missing_column_of_labels_is_named(tmp_path: Path) -> None:
    found = answer(tmp_path, SORTER, PHOTO, [{"file": "a.png", "sha256": DIGEST}])
    assert found.status == "missing"
    assert found.answer == (
        "rows that contain the label “cat” cannot be searched for: data/c0.jsonl has no column “animal”; "
        "1 has the same bytes"
    )


def test_another_corpus_without_the_column_counts_as_not_searched(tmp_path: Path) -> None:
    found = answer(tmp_path, READER, PHOTO, HASHED, other=NAMED)
    assert (found.answer, found.evidence["elsewhere"]) == ("0 of 1 rows contain the same bytes", [])
    assert [each["why"] for each in found.evidence["not_searched"]] == ["data/other.jsonl has no column “sha256”"]
