"""``spine verify`` finds what changed beside the ledger: corpora, traces, cached evidence, verdicts."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli_world import World, make_world, run
from core.keys import new_key
from core.ledger import Draft
from core.spine import open_spine
from prod import Prod, make_prod, promote

Capture = pytest.CaptureFixture[str]
Spoil = Callable[[World], None]


def flip(file: Path) -> None:
    """Change its last byte but one."""
    raw = bytearray(file.read_bytes())
    raw[-2] ^= 1
    file.chmod(0o644)
    file.write_bytes(raw)


def spoil_traces(world: World) -> None:
    file = world.root / ".spine" / "traces.db"
    raw = bytearray(file.read_bytes())
    raw[4096 + 8 : 4096 + 200] = b"\xff" * 192
    file.write_bytes(raw)


def cached(world: World, name: str) -> Path:
    return world.root / ".spine" / "cache" / world.loud / name


def add_report(world: World) -> None:
    report = cached(world, "eval_report.json").read_bytes()
    (world.root / ".spine" / "cache" / world.child / "eval_report.json").write_bytes(report)


DAMAGE: dict[str, tuple[str, Spoil, str]] = {
    "a row of a corpus": ("corpora", lambda w: flip(w.root / "data" / "v1.jsonl"), "v1.jsonl: the rows hash to"),
    "a page of the trace store": ("traces", spoil_traces, ""),
    "a report beside weights": ("bundles", lambda w: flip(cached(w, "eval_report.json")), "eval_report.json beside"),
    "a manifest beside weights": (
        "bundles", lambda w: cached(w, "train_manifest.json").write_bytes(b'{"parent_sha": null}'), "train_manifest",
    ),
    "a report where none was registered": ("bundles", add_report, "eval_report.json beside"),
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, echo: None) -> World:
    return make_world(tmp_path / "world")


def checks(capsys: Capture, root: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    done = run(capsys, "verify", "--json", root=root)
    return done.code, {check["name"]: check for check in done.json["checks"]}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_changed_beside_the_ledger_is_found(what: str, world: World, capsys: Capture) -> None:
    name, spoil, said = DAMAGE[what]
    assert checks(capsys, world.root)[0] == 0
    spoil(world)
    code, found = checks(capsys, world.root)
    assert code == 5
    assert said in found[name]["problems"][0]
    assert [other for other, check in found.items() if check["problems"]] == [name]
    assert run(capsys, "verify", root=world.root).code == 5


def test_what_is_not_on_this_machine_is_a_note(world: World, capsys: Capture) -> None:
    (world.root / "data" / "v2.jsonl").unlink()
    (world.root / ".spine" / "traces.db").unlink()
    code, found = checks(capsys, world.root)
    assert code == 0
    assert found["corpora"]["notes"]
    assert found["traces"]["notes"]


def test_the_trace_store_of_a_sound_world_is_read_whole(world: World, capsys: Capture) -> None:
    with sqlite3.connect(world.root / ".spine" / "traces.db") as database:
        (count,) = database.execute("SELECT count(*) FROM traces").fetchone()
    assert checks(capsys, world.root)[1]["traces"]["checked"] == count == 1


# verdicts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def prod(tmp_path: Path) -> Prod:
    made = make_prod(tmp_path / "prod")
    sound = made.root / ".spine" / "made" / "corrupt" / "model.safetensors"
    (made.root / ".spine" / "cache" / made.entries["corrupt"] / sound.name).write_bytes(sound.read_bytes())
    return made


def write_promotion(prod: Prod, name: str, body: dict[str, Any]) -> None:
    with open_spine(prod.root) as spine:
        body = {"sha": prod.entries[name], "semver": "v6.6.6", "reason": "past the registry", **body}
        spine.ledger.append([Draft(kind="promoted", body=body)], expected=None)


def test_a_promotion_written_past_the_registry_is_found(prod: Prod, capsys: Capture) -> None:
    assert checks(capsys, prod.root)[0] == 0
    write_promotion(prod, "bad", {"verdict": {"signed": False}})
    code, found = checks(capsys, prod.root)
    assert (code, found["verdicts"]["checked"]) == (5, 2)
    assert "without a signed verdict in a prod ledger" in found["verdicts"]["problems"][0]


def test_a_verdict_of_another_entry_and_one_that_is_gone_are_found(prod: Prod, capsys: Capture) -> None:
    with open_spine(prod.root) as spine:
        digest = spine.ledger.put(prod.signed("good"))
    write_promotion(prod, "bad", {"verdict": {"signed": True, "digest": digest}})
    code, found = checks(capsys, prod.root)
    assert code == 5
    assert "it is about" in found["verdicts"]["problems"][0]
    write_promotion(prod, "bad", {"verdict": {"signed": True, "digest": "0" * 64}})
    assert "evidence" in str(checks(capsys, prod.root)[1]["evidence"]["problems"])


def test_a_removed_key_spoils_what_serves_and_is_a_note_on_what_served(prod: Prod, capsys: Capture) -> None:
    prod.trust(new_key())
    code, found = checks(capsys, prod.root)
    assert code == 5
    assert "not in the trust file" in found["verdicts"]["problems"][0]
    prod.trust(prod.key)
    second = new_key()
    envelope = prod.reseal(prod.data(), second)
    prod.trust(prod.key, second)
    prod.commit()
    assert promote(prod, envelope)[0] == 0
    prod.trust(prod.key)
    code, found = checks(capsys, prod.root)
    assert (code, len(found["verdicts"]["notes"])) == (0, 1)
