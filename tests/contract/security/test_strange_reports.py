"""Reports nobody would write: whatever their buckets, sizes and encodings, the gate decides or fails closed.

No traceback, nothing a terminal obeys, nothing unreadable passes; a report that is only strange is compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles import eval_report
from cli_world import Done, run
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report

Make = Callable[..., Path]
Capture = pytest.CaptureFixture[str]
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
PLAIN = json.dumps(eval_report(95, 100)).encode()


def made(buckets: dict[str, Any] | None = None, **more: Any) -> bytes:
    report = eval_report(95, 100, **more)
    return json.dumps(report if buckets is None else {**report, "buckets": buckets}).encode()


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": [value]}
    return value


HALF = {"k": 47, "n": 50}
UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "a byte order mark": b"\xef\xbb\xbf" + PLAIN,
    "UTF-16": PLAIN.decode().encode("utf-16"),
    "UTF-16 without a mark": PLAIN.decode().encode("utf-16-le"),
    "UTF-32": PLAIN.decode().encode("utf-32"),
    "Latin-1": PLAIN.replace(b"verb/go", b"verb/\xe9"),
    "NUL bytes": PLAIN + b"\x00",
    "cut short": PLAIN[:-20],
    "two reports": PLAIN * 2,
    "a list": b"[" + PLAIN + b"]",
    "a bucket twice": PLAIN.replace(b'"buckets": {', b'"buckets": {"verb/go": {"k": 50, "n": 50}, '),
    "a total twice": PLAIN.replace(b'"total":', b'"total": {"k": 100, "n": 100}, "total":'),
    "NaN": PLAIN.replace(b'"k": 47', b'"k": NaN'),
    "Infinity": PLAIN.replace(b'"k": 47', b'"k": Infinity'),
    "too large for a double": PLAIN.replace(b'"k": 47', b'"k": 1e999'),
    "half an item": PLAIN.replace(b'"k": 47', b'"k": 47.5'),
    "a flag for a count": PLAIN.replace(b'"k": 47', b'"k": true'),
    "a text for a count": PLAIN.replace(b'"k": 47', b'"k": "47"'),
    "n beyond 2^53": PLAIN.replace(b'"n": 50', b'"n": 9007199254740992'),
    "a hundred digits": PLAIN.replace(b'"n": 50', b'"n": ' + b"9" * 100),
    "buckets in a list": made(buckets=[]),  # type: ignore[arg-type]
    "no buckets field": PLAIN.replace(b'"buckets"', b'"bukkets"'),
    "a lone surrogate": PLAIN.replace(b"verb/go", b"verb/\\ud83d"),
    "views nested too deep": made(views=nested(40)),
    "a bomb of brackets": b"[" * 200_000,
    "a schema of escapes": made(schema="\x1b]52;c;aGk=\x07\u202e"),
}
UNFIT: dict[str, bytes] = {
    "zero buckets": made(buckets={}),
    "nothing counted": made(buckets={"verb/go": {"k": 0, "n": 0}}),
    "more right than asked": made(buckets={"verb/go": {"k": 51, "n": 50}}),
    "a negative count": made(buckets={"verb/go": {"k": -1, "n": 50}}),
    "a negative size": made(buckets={"verb/go": {"k": -2, "n": -1}}),
    "an empty eval set": made(eval_set={"path": "", "dvc_hash": "", "sha256": "", "n": 0}),
}
NAMES = {
    "slashes": "a//b/../c/",
    "emoji": "verb/👩‍👩‍👧 go",
    "control": "verb/\x1b[31mgo\x07\r\n\t",
    "bidi": "verb/\u202eog\u2066",
    "markup": "[@click=app.quit]verb[/] | `x` <b>",
    "long": "verb/" + "x" * 10_000,
    "blank": " ",
    "nothing": "",
    "combining": "e" + "\u0301" * 200,
    "a dash": "--help",
}
HUGE = 2**53 - 1
STRANGE: dict[str, tuple[bytes, bytes]] = {
    **{
        f"a name of {what}": (made({name: HALF, "z": HALF}), made({name: {"k": 40, "n": 50}, "z": HALF}))
        for what, name in NAMES.items()
    },
    "CRLF": (
        json.dumps(json.loads(PLAIN), indent=1).replace("\n", "\r\n").encode(),
        made(buckets={"verb/go": {"k": 40, "n": 50}, "tense/past_simple": {"k": 48, "n": 50}}),
    ),
    "10,000 buckets": (
        made(buckets={f"b/{i}": HALF for i in range(10_000)}),
        made(buckets={f"b/{i}": {"k": 45, "n": 50} for i in range(10_000)}),
    ),
    "n of 2^53 − 1": (
        made(buckets={"b": {"k": HUGE, "n": HUGE}}),
        made(buckets={"b": {"k": HUGE - HUGE // 50 - 1, "n": HUGE}}),
    ),
    "views in views": (made(views={"a": nested(25)}), made(buckets={"verb/go": {"k": 9, "n": 50}}, views={"total": 1})),
}
"""A report, and a worse one (or one that lost a bucket)."""


@pytest.fixture
def gated(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def baseline(root: Path, raw: bytes) -> None:
    report = read_report(raw)
    made_of = baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64)
    (root / "eval_baseline.json").write_bytes(baseline_bytes(made_of))


def gate(root: Path, raw: bytes, capsys: Capture) -> Done:
    """Gate a file in all three shapes; each is safe to look at and says the same."""
    (root / "report.json").write_bytes(raw)
    (root / "out.md").unlink(missing_ok=True)
    done = run(capsys, "gate", "report.json", "--json", "--md", "out.md")
    human = run(capsys, "gate", "report.json")
    assert human.code == done.code
    for text in (human.out, human.err, done.out, done.err, (root / "out.md").read_text(encoding="utf-8")):
        assert not UNSAFE.search(text), UNSAFE.search(text)
        assert "Traceback" not in text
        assert "did not expect" not in text
    assert {0: "pass", 1: "fail", 2: "error"}[done.code] == done.json["result"]
    return done


@pytest.mark.parametrize("what", [*UNREADABLE, *UNFIT])
def test_what_cannot_be_compared_fails_closed(what: str, gated: Path, capsys: Capture) -> None:
    raw = {**UNREADABLE, **UNFIT}[what]
    baseline(gated, PLAIN)
    done = gate(gated, raw, capsys)
    assert done.code == 2, done
    assert done.json["reasons"]


@pytest.mark.parametrize("what", STRANGE)
def test_what_is_only_strange_is_compared(what: str, gated: Path, capsys: Capture) -> None:
    good, worse = STRANGE[what]
    baseline(gated, good)
    assert gate(gated, good, capsys).code == 0
    assert gate(gated, worse, capsys).code in (1, 2), "a worse one never passes"


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_bundle_with_an_unreadable_report_is_not_registered(
    what: str, gated: Path, make_bundle: Make, capsys: Capture
) -> None:
    bundle = make_bundle(1)
    (bundle / "eval_report.json").write_bytes(UNREADABLE[what])
    done = run(capsys, "register", str(bundle))
    assert done.code == 2, done
    assert not UNSAFE.search(done.err)
    assert "did not expect" not in done.err
    assert run(capsys, "list", "--json").json["entries"] == []


@pytest.mark.parametrize("what", [*NAMES, "CRLF", "10,000 buckets", "n of 2^53 − 1", "zero buckets", "nothing counted"])
def test_a_strange_report_is_registered_and_shown_safely(
    what: str, gated: Path, make_bundle: Make, capsys: Capture
) -> None:
    raw = UNFIT.get(what) or STRANGE.get(what, STRANGE.get(f"a name of {what}", (b"", b"")))[0]
    bundle = make_bundle(1)
    (bundle / "eval_report.json").write_bytes(raw)
    assert run(capsys, "register", str(bundle)).code == 0
    sha = run(capsys, "list", "--json").json["entries"][0]["sha"]
    for words in (("show", sha), ("show", sha, "--json"), ("gate", sha), ("list",), ("lineage", sha)):
        done = run(capsys, *words)
        assert not UNSAFE.search(done.out + done.err)
        assert "did not expect" not in done.err
