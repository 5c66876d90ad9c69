"""What a walk answers of a request that another server answered: its arm, and the name it gave its model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

import pack_forger
from bundles import write_bundle
from miniobserve import search
from miniobserve.traces import Assignment, Trace
from miniobserve.writer import TraceWriter
from modelspine.cli import main
from modelspine.incident.finding import Finding
from modelspine.incident.pack import pack, without_text
from modelspine.ledger.route import assign, assign_tester, shadow_assignment
from modelspine.recording import claimed_requests
from modelspine.recording.claimed_requests import unattributed_requests
from modelspine.recording.placing import Told
from modelspine.recording.recorder import Heard, Recorder
from modelspine.registry.claims import claim
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger, open_spine
from tickets import TABLE

Answers = Callable[..., tuple[Finding, ...]]


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spine]:
    """A project with v0.1.0 on half of the traffic and v0.2.0 on the other, and v0.3.0 on none."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "spine.toml").write_text(TABLE)
    create_ledger(load(folder, environ={}), "dev")
    with open_spine(folder) as opened:
        for number in (1, 2, 3):
            sha = opened.registry.register(write_bundle(folder / f"b{number}", number)).sha
            opened.registry.promote(sha, f"v0.{number}.0", reason="x")
        opened.routing.ab("v0.2.0", reason="two arms", weight_bp=5_000)
        yield opened


@pytest.fixture(scope="module")
def store(spine: Spine) -> Iterator[Callable[..., str]]:
    """Stores what a server told of a request, and returns its id."""
    writer, recorder = TraceWriter(spine.settings.traces), Recorder(spine)
    made = iter(range(1_000))

    def stored(model: str, unit: str = "ann", *, told: Told | None = None, at: int | None = None) -> str:
        name = f"req-told-{next(made):04d}"
        heard = Heard(
            request_id=name, trace_id="a" * 32, span_id="b" * 16, started_ns=at or time.time_ns(), seconds=0.1,
            models=(model,) if model else (), request={"body": "hi", "lang": "de"}, answer="spam", unit=unit,
            told=told or Told(),
        )  # fmt: skip
        writer.submit(recorder.trace(heard, *recorder.now())).result(5)
        return name

    yield stored
    writer.close()


@pytest.fixture(scope="module")
def answers(spine: Spine, store: Callable[..., str]) -> Answers:
    """Stores a request, and returns the answers of its walk."""
    return lambda *given, **more: spine.incident(store(*given, **more)).answers


def unit_of(spine: Spine, *, stable: bool = True) -> str:
    """A unit that the route gives the stable arm, or the other one."""
    route = spine.registry.route()
    assert route is not None
    return next(
        unit for unit in map(str, range(99)) if (assign(route, unit, sticky=True).arm == route.stable.name) is stable
    )


def test_what_was_told_wrongly_of_the_arm_is_a_mismatch(spine: Spine, answers: Answers) -> None:
    route, unit = spine.registry.route(), unit_of(spine)
    assert route is not None
    right = answers("v0.1.0", unit, told=Told("stable", route.epoch))[5]
    assert right.status == "verified"
    canary = answers("v0.1.0", unit, told=Told("canary", route.epoch))[5]
    assert canary.status == "mismatch"
    assert canary.answer.endswith(" — arm canary was told, the route and the unit give stable")
    for name in ("can; ary", "; ", "x; the entry that answered is not that of arm x"):
        prose = answers("v0.1.0", unit, told=Told(name, route.epoch))[5]
        assert (prose.status, name[:39] in prose.answer) == ("mismatch", True)
    epoch = answers("v0.1.0", unit, told=Told("stable", 9999))[5]
    assert epoch.status == "mismatch"
    assert "epoch 9999 was told, the ledger has no route event #9999, so it was placed by" in epoch.answer
    unknown = answers("gpt-4", unit, told=Told("canary", route.epoch))[5]
    assert (unknown.status, "arm canary was told" in unknown.answer) == ("mismatch", True)
    other = answers("v0.2.0", unit)[5]
    assert (other.status, other.answer.split(" — ")[1][:28]) == ("mismatch", "salt and unit give arm stabl")


def without_unit(spine: Spine, model: str, told: Told | None = None, *, number: int = 0) -> Trace:
    """What a server told of a request without a unit; another number gives another id."""
    recorder = Recorder(spine)
    heard = Heard(
        request_id=f"req-none-{number:04d}", trace_id="a" * 32, span_id="b" * 16, started_ns=time.time_ns(),
        seconds=0.1, models=(model,), request={"body": "hi", "lang": "de"}, answer="spam", told=told or Told(),
    )  # fmt: skip
    return recorder.trace(heard, *recorder.now())


def packed_status(spine: Spine, trace: Trace, folder: Path) -> str:
    """The status of answer 6 of a request, which the verifier of its pack has to find too."""
    folder.mkdir(exist_ok=True)
    pack(spine, (walk := spine.walk(trace)), "", folder / f"{trace.request_id}.zip")
    place = folder / trace.request_id
    shutil.unpack_archive(folder / f"{trace.request_id}.zip", place)
    code, out = pack_forger.verdict(place, pack_forger.program_of(place))
    assert (code, f"\n6 {walk.answers[5].status}: " in out) == (0, True), out
    return walk.answers[5].status


@pytest.mark.parametrize("model", ["v0.1.0", "v0.2.0"])
def test_the_arm_of_a_request_without_a_unit_is_not_computed_by_its_id(spine: Spine, model: str) -> None:
    traces = [without_unit(spine, model, number=number) for number in range(12)]
    found = [spine.walk(trace).answers[5] for trace in traces]
    assert {each.status for each in found} == {"recorded"}
    assert all(each.answer.endswith("; no unit was given, so its arm cannot be recomputed") for each in found)
    assert not any("bucket" in each.answer for each in found)
    assert {trace.fields.get("placed") for trace in traces} == {None}
    assert {trace.intended_sha == trace.entry_sha for trace in traces} == {True}
    assert len({trace.assignment.u for trace in traces}) == 12, "each has its own vote where arms are compared"


@pytest.mark.parametrize(
    ("model", "arm", "epoch", "status"),
    [
        ("v0.2.0", None, 0, "recorded"), ("v0.2.0", "{own}", None, "recorded"), ("v0.2.0", "{own}", 0, "recorded"),
        ("v0.2.0", "stable", 0, "mismatch"), ("v0.2.0", "purple", 0, "mismatch"), ("v0.2.0", "{own}", 9999, "mismatch"),
        ("v0.3.0", None, None, "mismatch"), ("v0.3.0", "stable", 0, "mismatch"), ("gpt-4", None, None, "missing"),
        ("gpt-4", "stable", 0, "missing"), ("gpt-4", "purple", 0, "mismatch"),
    ],
)  # fmt: skip
def test_what_the_server_of_a_request_without_a_unit_named_is_compared(
    spine: Spine, tmp_path: Path, model: str, arm: str | None, epoch: int | None, status: str
) -> None:
    route = spine.registry.route()
    assert route is not None
    named = arm and arm.format(own=route.learners[1].name)
    told = Told(named, route.epoch if epoch == 0 else epoch)
    trace = without_unit(spine, model, told)
    assert packed_status(spine, trace, tmp_path) == status
    assert packed_status(spine, without_text(trace), tmp_path / "plain") == status


def test_a_request_without_a_unit_is_verified_where_its_id_was_assigned(spine: Spine, tmp_path: Path) -> None:
    route = spine.registry.route()
    assert route is not None
    for number in range(8):
        arm = assign(route, f"req-none-{number:04d}", sticky=False).arm
        semver = next(each.semver for each in route.arms if each.name == arm)
        trace = without_unit(spine, semver, Told(arm, route.epoch, by_request=True), number=number)
        assert packed_status(spine, trace, tmp_path) == "verified"
        assert "because no unit was given" in spine.walk(trace).answers[5].answer


def test_a_route_of_one_arm_verifies_a_request_without_a_unit(tmp_path: Path) -> None:
    (tmp_path / "spine.toml").write_text(TABLE)
    create_ledger(load(tmp_path, environ={}), "dev")
    with open_spine(tmp_path) as own:
        for number in (1, 2):
            sha = own.registry.register(write_bundle(tmp_path / f"b{number}", number)).sha
            own.registry.promote(sha, f"v0.{number}.0", reason="x")
        assert packed_status(own, without_unit(own, "v0.1.0"), tmp_path) == "verified"
        own.routing.shadow("v0.2.0", reason="x")
        assert packed_status(own, without_unit(own, "v0.1.0", number=1), tmp_path) == "verified"
        assert packed_status(own, without_unit(own, "v0.2.0", number=2), tmp_path) == "mismatch"


def test_an_unattributed_request_is_accused_of_nothing(spine: Spine, answers: Answers) -> None:
    found = answers("-gpt", unit_of(spine))
    assert (found[0].status, found[5].status) == ("missing", "missing")
    assert "claim its model's name (`spine traces claim`); the route gives this unit stable" in found[5].answer
    assert found[0].command == found[5].command == "spine traces claim --model=-gpt REF --reason TEXT"
    unnamed = answers("", unit_of(spine))
    assert unnamed[0].answer == "the server named no model, so the entry that answered is not known"
    assert (unnamed[5].status, unnamed[5].command[:17]) == ("missing", "spine traces show")


@pytest.mark.parametrize("model", ["v0.1.0", "v0.2.0", "v0.3.0"])
def test_a_request_of_a_time_before_its_route_is_not_verified(spine: Spine, answers: Answers, model: str) -> None:
    at = int(datetime(2026, 8, 3, tzinfo=UTC).timestamp()) * 10**9
    found = answers(model, unit_of(spine), at=at)[5]
    assert found.status == "recorded"
    assert "assigned by a later route: #" in found.answer
    assert found.command == f"spine route report --epoch {found.evidence['epoch']}"


def test_without_any_route_the_arm_is_missing(tmp_path: Path) -> None:
    (tmp_path / "spine.toml").write_text(TABLE)
    create_ledger(load(tmp_path, environ={}), "dev")
    heard: dict[str, Any] = {
        "trace_id": "a" * 32, "span_id": "b" * 16, "started_ns": time.time_ns(), "seconds": 0.1, "models": ("v0.1.0",),
    }  # fmt: skip
    with open_spine(tmp_path) as spine:
        writer, recorder = TraceWriter(spine.settings.traces), Recorder(spine)
        for name, told in (("req-none-1", Told()), ("req-none-2", Told("stable", 9))):
            trace = recorder.trace(Heard(request_id=name, told=told, **heard), *recorder.now())
            writer.submit(trace).result(5)
        writer.close()
        one, two = (spine.incident(name).answers[5] for name in ("req-none-1", "req-none-2"))
    assert (one.status, one.answer) == ("missing", "there was no route yet")
    assert (two.status, two.answer[22:]) == (
        "mismatch", " — epoch 9 was told, the ledger has no route event #9",
    )  # fmt: skip


LATE = 10**18
"""A time before the route."""
HONEST = [
    ("v0.2.0", None, None, "verified"), ("v0.1.0", None, None, "mismatch"), ("v0.3.0", None, None, "mismatch"),
    ("v0.2.0", LATE, None, "recorded"), ("v0.1.0", LATE, None, "recorded"), ("v0.3.0", LATE, None, "recorded"),
    ("gpt-4", None, None, "missing"), ("gpt-4", LATE, None, "missing"), ("", None, None, "missing"),
    ("v0.2.0", None, Told("stable"), "mismatch"), ("gpt-4", None, Told("stable", 9999), "mismatch"),
]  # fmt: skip
"""A model, a time and an assignment that was named, with the status of answer 6; the route gives v0.2.0."""


@pytest.fixture
def unzipped(spine: Spine, store: Callable[..., str], tmp_path: Path) -> Callable[..., Path]:
    """Makes the pack of a request that a server told, and returns its folder."""

    def made(model: str, at: int | None, told: Told | None, *, text: bool = True) -> Path:
        trace = spine.trace(store(model, unit_of(spine, stable=False), at=at, told=told))
        pack(spine, spine.walk(trace if text else without_text(trace)), "", tmp_path / "pack.zip")
        shutil.unpack_archive(tmp_path / "pack.zip", tmp_path / "pack")
        return tmp_path / "pack"

    return made


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize(("model", "at", "told", "status"), HONEST)
def test_the_pack_of_any_request_that_was_told_is_verified(
    unzipped: Callable[..., Path], model: str, at: int | None, told: Told | None, status: str, text: bool
) -> None:
    folder = unzipped(model, at, told, text=text)
    command = [sys.executable, "-I", "-S", "verify.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    arm = next(line for line in done.stdout.splitlines() if line.startswith("6"))
    assert arm.startswith(f"6 {'recorded' if (status, text) == ('verified', False) else status}: ")


def test_the_pack_of_a_request_whose_server_named_another_semver_of_the_entry_is_verified(tmp_path: Path) -> None:
    """The route names the one under which the entry was promoted first."""
    (tmp_path / "spine.toml").write_text(TABLE)
    create_ledger(load(tmp_path, environ={}), "dev")
    with open_spine(tmp_path) as own:
        sha = own.registry.register(write_bundle(tmp_path / "b1", 1)).sha
        for semver in ("v0.1.0", "v0.1.1"):
            own.registry.promote(sha, semver, reason="x")
        heard = Heard(
            request_id="req-semver-1", trace_id="a" * 32, span_id="b" * 16, started_ns=time.time_ns(), seconds=0.1,
            models=("v0.1.1",), request={"body": "hi"}, answer="spam", unit="ann",
        )  # fmt: skip
        recorder = Recorder(own)
        pack(own, own.walk(recorder.trace(heard, *recorder.now())), "", tmp_path / "pack.zip")
    shutil.unpack_archive(tmp_path / "pack.zip", tmp_path / "pack")
    code, out = pack_forger.verdict(tmp_path / "pack", pack_forger.program_of(tmp_path / "pack"))
    assert (code, "\n6 verified: " in out) == (0, True), out


def test_the_pack_of_a_long_ledger_leaves_out_what_answer_8_does_not_go_to(
    unzipped: Callable[..., Path], spine: Spine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelspine.incident.pack.WHOLE", 2)
    folder, state = unzipped("v0.3.0", LATE, Told(None, None)), spine.registry.state()
    walk = json.loads((folder / "walk.json").read_text())
    entries = [{"sha": state.semvers[semver], "semver": semver} for semver in ("v0.1.0", "v0.3.0")]

    def found(go_to: str | None) -> tuple[int, str]:
        evidence = {"entries": entries, "go_to": go_to, "suggestion": walk["suggestion"]}
        walk["answers"][7] |= {"status": "recorded", "evidence": evidence}
        (folder / "walk.json").write_text(json.dumps(walk))
        pack_forger.relist(folder)
        return pack_forger.verdict(folder, pack_forger.program_of(folder))

    code, out = found(None)
    assert (code, "not checked: answer 8: that 1 of its entries were promoted" in out) == (0, True), out
    assert "WRONG: answer 8 does not follow" in found(entries[0]["sha"])[1]


def test_the_pack_of_a_long_ledger_has_the_drift_report_that_answer_2_names(
    spine: Spine, store: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelspine.incident.pack.WHOLE", 2)
    walk = spine.incident(store("gpt-4"))
    inputs = msgspec.structs.replace(walk.answers[1], evidence={"event": "#3"})
    answers = (walk.answers[0], inputs, *walk.answers[2:])
    pack(spine, msgspec.structs.replace(walk, answers=answers), "", tmp_path / "pack.zip")
    shutil.unpack_archive(tmp_path / "pack.zip", tmp_path / "pack")
    assert json.loads((tmp_path / "pack" / "pack.json").read_text())["from"] == 3


def test_a_server_that_cannot_load_the_newest_route_yet_is_accused_of_nothing(spine: Spine, tmp_path: Path) -> None:
    """It answers by the route before, and its trace names the entry that the newest route intends."""
    one, two = spine.registry.state().routes[0], spine.registry.route()
    assert two is not None
    unit = unit_of(spine, stable=False)
    heard = Heard(
        request_id="req-behind-1", trace_id="a" * 32, span_id="b" * 16, started_ns=time.time_ns(), seconds=0.1,
        models=("v0.1.0",), request={"body": "hi"}, answer="spam", unit=unit, told=Told("stable", one.epoch),
    )  # fmt: skip
    recorder = Recorder(spine)
    trace = recorder.trace(heard, *recorder.now())
    for number, intended in enumerate((two.learners[1].sha, spine.registry.resolve("v0.3.0"))):
        behind = msgspec.structs.replace(trace, intended_sha=intended)
        walk = spine.walk(behind)
        assert walk.answers[5].status == "verified"
        pack(spine, walk, "", tmp_path / f"{number}.zip")
        shutil.unpack_archive(tmp_path / f"{number}.zip", tmp_path / f"{number}")
    folders = [tmp_path / f"{number}" for number in (0, 1)]
    codes = [pack_forger.verdict(folder, pack_forger.program_of(folder))[0] for folder in folders]
    assert codes == [0, 1], "an entry that no route gives the unit is found"


@pytest.mark.long
@pytest.mark.parametrize(("model", "at", "told", "status"), HONEST)
def test_a_lie_about_the_arm_is_found(
    unzipped: Callable[..., Path], model: str, at: int | None, told: Told | None, status: str
) -> None:
    folder = unzipped(model, at, told)
    of_trace = {"features.answer_label", "features.lang", "fields.contradicts_ledger", "fields.model", "fields.placed",
                "fields", "values.answer_label", "values.lang", "values", "output"}  # fmt: skip
    assert pack_forger.unnoticed(folder, "trace.json") <= pack_forger.RECORDED | of_trace
    found = pack_forger.unnoticed(folder, "walk.json")
    assert {place for place in found if place.startswith("answer6")} == {
        "answer6.answer", "answer6.command", "answer6.question",
    }  # fmt: skip


@pytest.mark.parametrize(("status", "text"), [("recorded", "; assigned by a later route: #9"), ("mismatch", " — x")])
def test_no_wording_switches_a_check_off(unzipped: Callable[..., Path], status: str, text: str) -> None:
    """A forger names another arm, or another intended entry, and writes what once excused it."""
    folder = unzipped("v0.2.0", None, None)
    trace, walk = (json.loads((folder / f"{name}.json").read_text()) for name in ("trace", "walk"))
    route = json.loads((folder / "ledger.jsonl").read_text().splitlines()[trace["assignment"]["epoch"] - 1])
    answer = walk["answers"][5]

    def found() -> str:
        walk["trace"] = trace
        (folder / "trace.json").write_text(json.dumps(trace))
        (folder / "walk.json").write_text(json.dumps(walk))
        pack_forger.relist(folder)
        return pack_forger.verdict(folder, pack_forger.program_of(folder))[1]

    assert "nothing is wrong" in found()
    honest = json.dumps([trace, answer])
    trace["assignment"]["arm"] = "unrouted"
    answer |= {"evidence": trace["assignment"], "status": status, "answer": answer["answer"] + text}
    if status == "recorded":
        assert "WRONG: answer 6 does not follow" in found()
    trace, answer = json.loads(honest)
    walk["answers"][5] = answer | {"status": status, "answer": answer["answer"] + text}
    trace["intended_sha"] = route["body"]["arms"][0]["sha"]
    assert "WRONG: the trace's arm is not the ledger's" in found()


def test_a_pack_without_texts_still_says_what_was_told_wrongly(spine: Spine, store: Callable[..., str]) -> None:
    route = spine.registry.route()
    assert route is not None
    trace = spine.trace(store("v0.1.0", unit_of(spine), told=Told("canary", route.epoch)))
    kept = without_text(trace)
    assert kept.fields == {"contradicts_ledger": "arm canary was told, the route and the unit give stable"}
    assert without_text(kept) == kept


def test_a_claim_is_named_in_answer_1_and_a_later_one_says_what_it_changes(
    spine: Spine, store: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [store("gpt-9", unit) for unit in ("ann", "bob")]

    def claimed(ref: str) -> dict[str, Any]:
        capsys.readouterr()
        words = [
            "traces",
            "claim",
            "--root",
            str(spine.settings.root),
            "--model",
            "gpt-9",
            ref,
            "--reason",
            f"it is {ref}",
        ]
        assert main([*words, "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    def answer(name: str) -> Finding:
        return spine.incident(name).answers[0]

    first = claimed("v0.1.0")
    assert (first["replaced"], first["requests"], first["warnings"]) == (None, 2, [])
    assert f"the server named “gpt-9”, which was claimed for v0.1.0 {first['sha'][:12]} (#{first['seq']} by" in (
        answer(before[0]).answer
    )
    between = store("gpt-9")
    assert answer(between).evidence["claim"]["seq"] == first["seq"]
    again = claimed("v0.1.0")
    assert (again["replaced"], again["warnings"]) == (None, []), "it says the same"
    second = claimed("v0.2.0")
    assert (second["replaced"]["seq"], second["replaced"]["reason"], second["requests"]) == (
        again["seq"],
        "it is v0.1.0",
        2,
    )
    assert f"gpt-9 meant v0.1.0 {first['sha'][:12]} (#{again['seq']} by " in second["warnings"][0]
    assert "2 stored requests without an entry of their own now count for v0.2.0" in second["warnings"][0]
    moved = answer(before[0])
    assert f"claimed for v0.2.0 {second['sha'][:12]} (#{second['seq']} by" in moved.answer
    assert f", in place of v0.1.0 {first['sha'][:12]} (#{again['seq']} by" in moved.answer
    assert (moved.evidence["model"], moved.evidence["claim"]["replaced"]) == ("gpt-9", again["seq"])
    stays = answer(between).answer
    assert "claimed for v0.1.0" in stays
    assert "; it now means v0.2.0" in stays
    assert without_text(spine.trace(before[0])).fields == {"claimed": f"#{second['seq']}"}
    assert "claim" not in answer(store("v0.1.0")).evidence


def test_the_requests_of_a_name_are_counted_beyond_a_page(
    spine: Spine, store: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = time.time_ns()
    for number in range(5):
        store("paged", at=at - number // 2)  # two at one time
        store("another")
    monkeypatch.setattr(search, "WINDOW", 2)
    seen: list[int] = []
    with open_spine(spine.settings.root, readonly=True) as project:
        project.traces.list = None  # type: ignore[assignment, method-assign]  # no page of traces is loaded
        assert unattributed_requests(project.traces, "paged", seen.append) == 5
        assert unattributed_requests(project.traces, "page") == 0
        assert unattributed_requests(project.traces, "PAGED") == 0
    assert len(seen) > 5
    assert seen == sorted(seen)


def test_a_claim_counts_before_it_is_recorded_and_says_it_in_a_sentence(
    spine: Spine, store: Callable[..., str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["traces", "claim", "--root", str(spine.settings.root), "--reason", "x", "--model"]
    store("lonely")
    assert main([*words, "lonely", "v0.1.0"]) == 0
    assert "    1 stored request without an entry of its own now counts for it\n" in capsys.readouterr().out
    assert main([*words, "lonely", "v0.2.0"]) == 0
    assert "; 1 stored request without an entry of its own now counts for v0.2.0, and" in capsys.readouterr().out
    assert main([*words, "nobody", "v0.1.0"]) == 0
    assert "    0 stored requests without an entry of their own now count for it\n" in capsys.readouterr().out
    head = spine.registry.events()[-1].seq

    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(claimed_requests, "unattributed_requests", interrupted)
    assert main([*words, "late", "no-such-entry"]) == 2, "it is refused before anything is counted"
    with suppress(KeyboardInterrupt):
        main([*words, "late", "v0.1.0"])
    assert spine.registry.events()[-1].seq == head, "nothing was recorded"


@pytest.mark.long
def test_the_pack_of_a_claimed_request_names_the_claim_and_a_lie_about_it_is_found(
    spine: Spine, unzipped: Callable[..., Path], store: Callable[..., str]
) -> None:
    claim(spine.registry, "packed-model", "v0.1.0", reason="a slip")
    claim(spine.registry, "packed-model", "v0.2.0", reason="corrected")
    folder = unzipped("packed-model", None, None)
    answer = json.loads((folder / "walk.json").read_text())["answers"][0]
    assert answer["evidence"]["claim"]["reason"] == "corrected"
    assert pack_forger.verdict(folder, pack_forger.program_of(folder))[0] == 0
    found = {place for place in pack_forger.unnoticed(folder, "walk.json") if place.startswith("answer1.evidence")}
    assert found <= {f"answer1.evidence.{name}" for name in ("answered", "rehashed", "claim.newest", "claim.replaced")}


def test_the_packs_of_testers_copies_and_retries_are_verified(
    spine: Spine, store: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "spine.toml").write_text(TABLE)
    create_ledger(load(tmp_path, environ={}), "dev")
    answered = msgspec.structs.replace(spine.trace(store("v0.1.0")), started_ns=time.time_ns() + 10**10, fields={})
    with open_spine(tmp_path) as mirrored:
        for number in (1, 2):
            sha = mirrored.registry.register(write_bundle(tmp_path / f"b{number}", number)).sha
            mirrored.registry.promote(sha, f"v0.{number}.0", reason="x")
        mirrored.routing.shadow("v0.2.0", reason="x")
        route = mirrored.registry.route()
        assert route is not None
        assert route.shadow is not None

        def trace(assignment: Assignment, **more: Any) -> Trace:
            arm = next(each for each in route.arms if each.name == assignment.arm)
            of_arm = {"entry_sha": arm.sha, "intended_sha": arm.sha, "semver": arm.semver}
            return msgspec.structs.replace(answered, assignment=assignment, **of_arm, **more)

        plain, own = assign(route, "ann", sticky=True), assign(route, "req-own-1", sticky=False)
        copied = shadow_assignment(plain, route.shadow)
        tester = assign_tester(route, "ann", sticky=True, tester="eve", arm="shadow")
        for number, (each, status) in enumerate([
            (trace(plain), "verified"), (trace(tester), "verified"), (without_text(trace(tester)), "recorded"),
            (trace(copied, shadow_of="req-own-1"), "verified"),
            (trace(copied, shadow_of="req-own-1", started_ns=LATE), "recorded"),
            (trace(copied, shadow_of="req-own-1", started_ns=LATE, source="replay"), "verified"),
            (trace(own, request_id="req-own-1"), "verified"), (trace(own, retry_of="req-own-1"), "verified"),
        ]):  # fmt: skip
            walk, place = mirrored.walk(each), tmp_path / f"{number}"
            assert walk.answers[5].status == status, number
            pack(mirrored, walk, "", tmp_path / f"{number}.zip")
            shutil.unpack_archive(tmp_path / f"{number}.zip", place)
            code, out = pack_forger.verdict(place, pack_forger.program_of(place))
            assert (code, f"\n6 {status}: " in out) == (0, True), out
