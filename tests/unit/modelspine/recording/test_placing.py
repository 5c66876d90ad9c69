"""What a server tells of its model and its arm, resolved and checked against the ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bundles import write_bundle
from miniobserve.traces import Trace
from modelspine.errors import BadInput, Unavailable, UnknownRef
from modelspine.ledger.route import assign
from modelspine.recording.assigning import assigned
from modelspine.recording.placing import Told, place
from modelspine.recording.recorder import Heard, Recorder
from modelspine.registry.claims import claim
from modelspine.registry.entries import FOLDER
from modelspine.registry.model_names import UNATTRIBUTED, Models, Named
from modelspine.settings import load
from modelspine.spine import Spine, create_ledger, open_spine
from tickets import TABLE


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Spine, str, str]]:
    """A project with v0.1.0 on half of the traffic and v0.2.0 on the other; and a third entry that is not promoted."""
    tmp_path = tmp_path_factory.mktemp("placing")
    (tmp_path / "spine.toml").write_text(TABLE)
    create_ledger(load(tmp_path, environ={}), "dev")
    with open_spine(tmp_path) as spine:
        shas = [spine.registry.register(write_bundle(tmp_path / f"b{n}", n)).sha for n in (1, 2, 3)]
        spine.registry.promote(shas[0], "v0.1.0", reason="first")
        spine.registry.promote(shas[1], "v0.2.0", reason="second")
        spine.routing.ab("v0.2.0", reason="two arms", weight_bp=5_000)
        yield spine, shas[0], shas[1]


def named(spine: Spine, *names: str, models: Models | None = None) -> Named:
    return (models or Models("tickets")).resolve(names, spine.registry.state(), spine.registry.events())


def test_names_by_which_an_entry_is_told(two: tuple[Spine, str, str]) -> None:
    spine, one, other = two
    for name in ("v0.2.0", "0.2.0", other, other[:12]):
        assert named(spine, name) == Named(other, "v0.2.0")
    assert named(spine, "no such", "v0.1.0", "v0.2.0") == Named(one, "v0.1.0")
    assert named(spine, "models:/tickets@production") == Named(one, "v0.1.0")
    for name in ("production", other[:6], "models:/tickets@staging", "gpt-4o", "", "v9.9.9", "0" * 64):
        assert named(spine, name) == UNATTRIBUTED, name


def test_an_alias_is_looked_up_and_asked_for_once_a_minute(two: tuple[Spine, str, str]) -> None:
    spine, _, _ = two
    asked: list[str] = []

    def mlflow(uri: str) -> str:
        asked.append(uri)
        if uri.endswith("gone"):
            raise UnknownRef("MLflow has no such alias", "")
        raise Unavailable("MLflow is not there", "")

    models = Models(None, mlflow)
    for _ in range(3):
        assert named(spine, "models:/m@gone", "models:/m@away", models=models) == UNATTRIBUTED
    assert asked == ["models:/m@gone", "models:/m@away"]


def test_what_was_told_of_the_arm_is_computed_again(two: tuple[Spine, str, str]) -> None:
    spine, one, other = two
    state = spine.registry.state()
    route = state.route
    assert route is not None
    for unit in ("a", "b", "c", "d", "e", "f"):
        own = assign(route, unit, sticky=True)
        sha = assigned(route, unit).entry_sha
        asked = place(state, sha, unit, sticky=True, told=Told(own.arm, route.epoch))
        assert asked == (own, sha, "", "")
        assert place(state, sha, unit, sticky=True, told=Told()) == asked
        wrong = other if sha == one else one
        strayed = place(state, wrong, unit, sticky=True, told=Told())
        assert strayed.assignment.arm != own.arm
        assert strayed.intended_sha == sha
        assert strayed.note == f"the entry that answered is not that of arm {own.arm}"
    late = place(state, one, "a", sticky=True, told=Told("stable", 3))  # the route before the A/B test
    wrong = late.contradiction
    assert (late.assignment.epoch, wrong) == (state.routes[0].epoch, "") or "no route" in wrong
    unknown = place(state, one, "a", sticky=True, told=Told(None, 999))
    assert "no route event #999" in unknown.contradiction
    assert "no route event" not in unknown.note
    assert place(state, "f" * 64, "a", sticky=True, told=Told()).assignment.arm == "unrouted"
    assert place(state, "", "a", sticky=True, told=Told()).assignment.arm == "unattributed"


def test_a_claim_is_read_and_replaces_an_earlier_one(two: tuple[Spine, str, str]) -> None:
    spine, one, other = two
    with pytest.raises(BadInput, match="names an entry"):
        claim(spine.registry, "v0.1.0", other, reason="x")
    with pytest.raises(BadInput, match="visible"):
        claim(spine.registry, "a\x1bb", other, reason="x")
    claim(spine.registry, "ours", other, reason="a slip")
    claim(spine.registry, "ours", one, reason="corrected")
    assert named(spine, "ours") == Named(one, "v0.1.0")
    assert [event.kind for event in spine.registry.events()[-2:]] == ["claimed", "claimed"]


def heard(**more: Any) -> Heard:
    given: dict[str, Any] = {
        "request_id": "id-000001", "trace_id": "a" * 32, "span_id": "b" * 16, "started_ns": 10**18, "seconds": 0.1,
        "models": ("v0.1.0",), "request": {"body": "hi", "lang": "de"}, "answer": "spam", "unit": "ann",
        "fields": {"score": 0.5, "why": "short", "long": "x" * 99, "list": [1]},
    }  # fmt: skip
    return Heard(**{**given, **more})


def recorded(spine: Spine, policy: str = "full", **more: Any) -> Trace:
    settings = msgspec.structs.replace(spine.settings, text_policy=policy)
    with Spine(settings, readonly=True) as project:
        recorder = Recorder(project)
        return recorder.trace(heard(**more), *recorder.now())


def test_the_text_policy_holds_for_what_is_told(two: tuple[Spine, str, str]) -> None:
    spine, _, _ = two
    full, hashed, none = (recorded(spine, policy, error="on “hi”") for policy in ("full", "hash", "none"))
    assert (full.input, full.output, full.assignment.unit) == ("hi", "spam", "ann")
    assert full.fields.pop("unread").startswith("long: a field is a number, a text of up to 64 characters, a list")
    assert full.fields == {"score": 0.5, "why": "short", "list": [1], "model": "v0.1.0"}
    assert (hashed.input, hashed.output, hashed.assignment.unit) == (None, None, None)
    assert (none.input, none.output, none.input_sha256) == (None, None, None)
    assert hashed.input_sha256 is not None
    assert full.unit_hash == hashed.unit_hash == none.unit_hash
    assert "ann" not in msgspec.json.encode(none).decode()
    assert "hi" not in str(msgspec.to_builtins(none.fields)) + none.error
    assert none.features == {"lang": "de", "answer_label": "spam"}
    assert none.accepted is True


WHOLE_CALL = {"id": "c-1", "output": [{"type": "message", "content": []}], "choices": [{"message": {}}]}


@pytest.mark.parametrize(
    ("answer", "message", "output"),
    [
        (WHOLE_CALL, "spam", "spam"),
        (WHOLE_CALL, '{"label": "spam"}', None),
        (WHOLE_CALL, '{"answer": "spam"}', "spam"),
        (WHOLE_CALL, None, None),
        ({"dept": "damage"}, None, None),
        ({"output": {"dept": "damage"}}, None, None),
        ('{"dept": "damage"}', None, None),
        ({"answer": "spam"}, None, "spam"),
    ],
)
def test_json_is_never_the_text_of_a_label(
    two: tuple[Spine, str, str], answer: Any, message: str | None, output: str | None
) -> None:
    """An answer that was not read is no answer: a label that comes later must not call it wrong."""
    trace = recorded(two[0], answer=answer, answer_message=message, fields={})
    assert (trace.output, trace.graded) == (output, None)
    assert trace.features.get("answer_label") == output
    assert ("unread" in trace.fields) is (output is None)


@pytest.mark.parametrize(
    ("request_", "message", "kept", "lang"),
    [
        ({"model": "m", "messages": []}, "hi", "hi", None),
        ({"model": "m", "messages": []}, '{"body": "hi", "lang": "de"}', "hi", "de"),
        ({"model": "m", "messages": []}, '{"pasted": 1}', '{"pasted": 1}', None),
        ({"body": "hi", "lang": "de"}, "hi", "hi", "de"),
    ],
)
def test_the_message_is_the_input_unless_the_json_beside_it_has_the_columns(
    two: tuple[Spine, str, str], request_: Any, message: str, kept: str, lang: str | None
) -> None:
    trace = recorded(two[0], request=request_, request_message=message)
    assert (trace.input, trace.features.get("lang")) == (kept, lang)


def test_an_input_that_was_left_out_is_not_asked_for(two: tuple[Spine, str, str]) -> None:
    trace = recorded(two[0], request=None, lost=("it was too long",), unread=("no latency",), fields={})
    assert (trace.fields["unread"], trace.output) == ("no latency; it was too long", "spam")


def test_an_answer_that_was_read_stays_where_the_request_was_not(two: tuple[Spine, str, str]) -> None:
    trace = recorded(two[0], request={"lang": "de"})
    assert (trace.output, "has no 'body'" in trace.fields["unread"]) == ("spam", True)


@pytest.mark.parametrize(
    ("told", "kept"),
    [([1, 2.123456789], [1.0, 2.12346]), ([True], None), ([1.0] * 4_097, None), ("1, 2", None), ([], None)],
)
def test_a_vector_that_was_told_is_kept_with_the_text_alone(two: tuple[Spine, str, str], told: Any, kept: Any) -> None:
    trace = recorded(two[0], fields={"embedding": told, "score": 0.5})
    assert (trace.embedding, trace.fields["score"], trace.values["score"]) == (kept, 0.5, 0.5)
    assert not [name for name in trace.values if name.startswith("embedding")]
    assert recorded(two[0], policy="hash", fields={"embedding": told}).embedding is None


def test_no_server_sets_a_field_that_a_walk_rests_on(two: tuple[Spine, str, str]) -> None:
    names = ("model", "placed", "contradicts_ledger", "claimed", "unread")
    trace = recorded(two[0], fields=dict.fromkeys(names, "#1") | {"score": 0.5})
    assert (trace.fields["model"], trace.fields["score"]) == ("v0.1.0", 0.5)
    assert not {"claimed", "contradicts_ledger"} & set(trace.fields)
    assert "claimed: Spine has a field of this name" in trace.fields["unread"]


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        ({"request": {"lang": "de"}}, "has no 'body'"),
        ({"request": None}, "has no 'body'"),
        ({"request": {"body": 2**60}}, "cannot be kept"),
        ({"answer": {"nothing": 1}}, "which column"),
        ({"request": {"body": float("inf")}}, "cannot be kept"),
    ],
)
def test_what_cannot_be_read_is_left_out_and_said(two: tuple[Spine, str, str], more: Any, unread: str) -> None:
    trace = recorded(two[0], **more)
    assert unread in trace.fields["unread"]
    assert trace.entry_sha == two[1]


@pytest.mark.long
def test_an_alias_of_mlflow_leads_to_what_was_registered(
    tmp_path: Path, mlflow_database: Path, make_bundle: Callable[..., Path]
) -> None:
    """The alias is what the service knows; the ledger has the run that the version points at."""
    (tmp_path / "spine.toml").write_text(TABLE)
    create_ledger(load(tmp_path, environ={}), "dev")
    shutil.copy(mlflow_database, tmp_path / ".spine" / "mlflow.db")
    with open_spine(tmp_path) as spine:
        store = spine.artifacts
        runs = [store.put(make_bundle(n), experiment="e", name=str(n), tags={}) for n in (1, 2)]
        client = store.client()
        client.create_registered_model("tickets")
        for run in runs:
            client.create_model_version("tickets", f"runs:/{run}/{FOLDER}", run)
        client.set_registered_model_alias("tickets", "live", "2")
        one, other = (spine.registry.register_pending(f"models:/tickets/{number}").sha for number in (1, 2))
        recorder = Recorder(spine)
        assert recorder.named(("models:/tickets@live",)) == Named(other, "")
        assert recorder.named(("models:/tickets/1",)) == Named(one, "")
        assert recorder.named(("models:/tickets@none", "models:/other/1", f"runs:/{runs[0]}")) == UNATTRIBUTED
