"""The rules by which spans become requests: which span received one, which asked the model, and what they say."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from miniserve.request_spans import Part, is_model, parts_of
from miniserve.span_trace import heard, own_id
from miniserve.span_values import Event, Span
from modelspine.collect_table import CollectTable, Tokens
from modelspine.recording.placing import Told

TRACE = "a" * 32
FIXTURES = Path(__file__).parents[2] / "fixtures"
USUAL = CollectTable()


def made(name: str, parent: str = "", kind: int = 1, at: int = 0, **more: Any) -> Span:
    given = {"start_ns": 10**18 + at, "end_ns": 10**18 + at + 1000, **more}
    return Span(trace_id=TRACE, span_id=name, parent_id=parent, name=name, kind=kind, **given)


def model(name: str, parent: str = "", at: int = 0, **attributes: Any) -> Span:
    return made(name, parent, at=at, attributes={"gen_ai.request.model": "v0.1.0", **attributes})


def only(*spans: Span, table: CollectTable = USUAL) -> Part:
    (part,) = parts_of(spans, table)
    return part


def shape(spans: list[Span]) -> list[tuple[str, list[str], bool]]:
    return [(part.root.name, [span.name for span in part.models], part.complete) for part in parts_of(spans, USUAL)]


def test_the_receiving_span_nearest_above_is_the_request() -> None:
    """A gateway calls two services; each has a span between the one that received the call and the model's."""
    spans = [
        made("page"), made("s1", "page", 2), made("mid", "s1"), model("m1", "mid"), made("s2", "page", 5, at=9),
        model("m2", "s2"), made("health", "", 2),
    ]  # fmt: skip
    random.Random(1).shuffle(spans)
    assert shape(spans) == [("s1", ["m1"], True), ("s2", ["m2"], True)]


def test_without_one_the_first_span_of_the_trace_stands_for_it() -> None:
    assert shape([made("chain"), model("m", "chain")]) == [("chain", ["m"], True)]
    assert shape([model("alone")]) == [("alone", ["alone"], True)]
    assert shape([model("m", "not here yet")]) == [("m", ["m"], False)]
    assert shape([made("mid", "not here yet"), model("m", "mid")]) == [("mid", ["m"], False)]


def test_model_spans_of_a_request_are_joined_but_for_those_within_another() -> None:
    """A framework's span and the one of the client that it calls are one question."""
    spans = [made("s", "", 2), model("outer", "s"), made("between", "outer"), model("inner", "between"),
             model("second", "s", at=5)]  # fmt: skip
    assert shape(spans) == [("s", ["outer", "second"], True)]


def said(name: str, parent: str, at: int, output: str, **more: Any) -> Span:
    """The span of a call with the messages and tokens of an agent's step."""
    tokens = {"gen_ai.usage.input_tokens": 100 + at, "gen_ai.usage.output_tokens": 10}
    given = {"gen_ai.input.messages": [{"role": "user", "content": "how much"}], **tokens, **more}
    return model(name, parent, at=at, **given, **{"gen_ai.output.messages": [{"role": "assistant", "content": output}]})


def test_a_model_span_that_says_nothing_leaves_it_to_those_within() -> None:
    """The conventions let an agent's span name the model and nothing else; its calls have the messages and tokens."""
    agent = model("agent", "s", **{"gen_ai.operation.name": "invoke_agent"})
    steps = [made("loop", "agent"), said("one", "loop", 1, "a tool"), said("two", "agent", 2, "411")]
    part = only(made("s", "", 2), agent, *steps)
    told = heard(part, USUAL, "id-00001")
    assert [span.name for span in part.models] == ["agent"]
    assert (told.request, told.answer, told.tokens) == ("how much", "411", (203, 20))
    outer = model("agent", "s", **{"input.value": "the whole", "output.value": "412", "gen_ai.usage.input_tokens": 7})
    told = heard(only(made("s", "", 2), outer, *steps), USUAL, "id-00001")
    assert (told.request, told.answer, told.tokens) == ("the whole", "412", (7, 0))
    cut = msgspec.structs.replace(agent, left_out=["input.value"])
    assert heard(only(made("s", "", 2), cut, *steps), USUAL, "id-00001").request is None, "a part is another input"
    deep = [made("s", "", 2), *(model(f"d{n}", f"d{n - 1}" if n else "s", at=n) for n in range(5_000))]
    told = heard(only(*deep, said("last", "d4999", 9_000, "yes")), USUAL, "id-00001")
    assert (told.request, told.answer, told.tokens) == ("how much", "yes", (9_100, 10))


@pytest.mark.parametrize("at", [-5, 50])
@pytest.mark.parametrize(
    "embeds",
    [
        {"openinference.span.kind": "EMBEDDING", "embedding.model_name": "e5",
         "embedding.embeddings.0.embedding.text": "to look up"},
        {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": "e5", "gen_ai.usage.input_tokens": 9_999},
    ],
)  # fmt: skip
def test_an_embedding_before_or_after_the_answer_is_neither_input_nor_answer(at: int, embeds: dict[str, Any]) -> None:
    other = made("embed", "s", at=at, attributes=embeds)
    part = only(made("s", "", 2), other, said("m", "s", 1, "411"))
    told = heard(part, USUAL, "id-00001")
    assert [span.name for span in part.models] == ["m"]
    assert (told.models, told.request, told.answer, told.tokens) == (("v0.1.0",), "how much", "411", (101, 10))
    unnamed = made("m", "s", attributes={"openinference.span.kind": "LLM", "input.value": "x", "output.value": "y"})
    told = heard(only(made("s", "", 2), other, unnamed), USUAL, "id-00001")
    assert (told.models, told.request, told.answer) == (("unnamed",), "x", "y")
    within = model("agent", "s", **{"input.value": "x", "output.value": "y"})
    below = msgspec.structs.replace(other, parent_id="agent")
    assert heard(only(made("s", "", 2), within, below), USUAL, "id-00001").tokens is None
    alone = only(made("s", "", 2), other)
    assert [span.name for span in alone.models] == ["embed"], "a service of embeddings has no other span"
    assert heard(alone, USUAL, "id-00001").models == ("e5",)


def test_a_span_that_names_its_request_is_one() -> None:
    spans = [made("job"), *(model(f"m{n}", "job", at=n, **{"spine.request_id": f"item-00{n}"}) for n in range(3))]
    assert [own_id(part) for part in parts_of(spans, USUAL)] == ["item-000", "item-001", "item-002"]
    assert own_id(only(model("m", **{"spine.request_id": "a b"}))) is None


def test_rings_and_long_chains_end() -> None:
    ring = [made("a", "b"), made("b", "a"), model("c", "a"), made("self", "self")]
    assert [models for _, models, _ in shape(ring)] == [["c"]]
    chain = [made("0"), *(model(str(n), str(n - 1)) for n in range(1, 20_000))]
    random.Random(2).shuffle(chain)  # to look at every span above every span would take minutes
    assert shape(chain) == [("0", ["1"], True)]


def test_the_root_gives_time_unit_and_error_and_the_models_the_rest() -> None:
    spans = [
        made("s", "", 2, attributes={"user.id": " Ann  B "}, end_ns=10**18 + 2 * 10**9),
        model("one", "s", at=5, **{"input.value": "first?", "output.value": "no", "gen_ai.usage.input_tokens": 3}),
        model(
            "two", "s", at=9,
            **{
                "input.value": "second?", "output.value": "yes", "gen_ai.usage.output_tokens": 4,
                "gen_ai.response.model": "exact", "spine.arm": "canary", "spine.epoch": 7, "spine.field.score": 0.5,
            },
        ),
    ]  # fmt: skip
    told = heard(only(*spans), USUAL, "id-00001")
    assert (told.unit, told.started_ns, told.seconds) == ("Ann B", 10**18, 2.0)
    assert (told.request, told.answer, told.models) == ("first?", "yes", ("exact", "v0.1.0"))
    assert (told.tokens, told.told) == ((3, 4), Told("canary", 7))
    assert (told.fields, told.notes) == ({"score": 0.5}, {"model_spans": 2})
    failed = heard(only(made("s", "", 2, failed=True, error="boom"), model("m", "s")), USUAL, "id-00001")
    assert (failed.status, failed.error, failed.answer) == (500, "boom", None)


@pytest.mark.parametrize("within", [False, True])
def test_a_call_that_failed_beside_the_one_that_answered_does_not_count(within: bool) -> None:
    """The slower one of two calls in parallel is cancelled once the other one has answered."""
    above = [made("s", "", 2), model("agent", "s")] if within else [made("s", "", 2)]
    parent = above[-1].span_id
    slow = msgspec.structs.replace(
        said("slow", parent, 1, "", **{"gen_ai.response.model": "slow", "spine.field.score": 0.1}),
        failed=True, error="cancelled", end_ns=10**18 + 1100,
    )  # fmt: skip
    slow.attributes.pop("gen_ai.output.messages")
    fast = said("fast", parent, 2, "411", **{"gen_ai.response.model": "fast", "spine.field.score": 0.9})
    told = heard(only(*above, slow, fast), USUAL, "id-00001")
    assert (told.status, told.error, told.request, told.answer) == (200, "", "how much", "411")
    assert (told.models[0], told.fields, told.tokens) == ("v0.1.0" if within else "fast", {"score": 0.9}, (203, 20))


def test_a_last_call_that_failed_after_the_others_makes_a_failed_request() -> None:
    first = said("first", "s", 1, "look it up")
    last = msgspec.structs.replace(said("last", "s", 1001, ""), failed=True, error="boom")
    told = heard(only(made("s", "", 2), first, last), USUAL, "id-00001")
    assert (told.status, told.error) == (500, "boom")
    both = [msgspec.structs.replace(each, failed=True, error=each.name) for each in (first, last)]
    assert heard(only(made("s", "", 2), *both), USUAL, "id-00001").error == "last"


def test_a_span_within_a_model_span_says_what_the_outer_one_does_not() -> None:
    table = CollectTable(features={"lang": "app.lang"})
    inner = model("inner", "outer", **{
        "spine.field.score": 0.25, "spine.field.rank": 3, "user.id": "ann", "app.lang": "de", "spine.arm": "canary",
    })  # fmt: skip
    outer = model("outer", "s", **{"spine.field.rank": 1})
    told = heard(only(made("s", "", 2), outer, inner, table=table), table, "id-00001")
    assert (told.fields, told.unit, told.features) == ({"score": 0.25, "rank": 1}, "ann", {"lang": "de"})
    assert told.told == Told("canary", None)
    cut = msgspec.structs.replace(outer, left_out=["spine.field.score"])
    assert heard(only(made("s", "", 2), cut, inner), USUAL, "id-00001").fields == {"rank": 1}


def test_a_number_that_is_none_is_left_out_and_named() -> None:
    why, other = "output.value: nan is no JSON number", "spine.field.score: inf is no JSON number"
    outer = msgspec.structs.replace(
        model("m", "s", **{"input.value": "x", "output.value": None}),
        unfinite={"output.value": why, "spine.field.score": other},
    )
    inner = model("inner", "m", **{"output.value": 3.5})
    told = heard(only(made("s", "", 2), outer, inner), USUAL, "id-00001")
    assert (told.request, told.answer, told.notes) == ("x", None, {})
    assert (told.lost, told.lost_answer, told.unread) == ((), (why,), (other,))
    own = CollectTable(input="output.value#label")
    assert heard(only(made("s", "", 2), outer), own, "id-00001").lost == (why,)


def test_a_span_without_a_true_end_counts_as_0_seconds_and_the_trace_says_so() -> None:
    root = made("s", "", 2, timed=False, end_ns=10**18)
    told = heard(
        only(root, made("m", "s", end_ns=10**18 + 3 * 10**9, attributes={"llm.model_name": "x"})), USUAL, "id-00001"
    )
    assert (told.seconds, "counts as 0 seconds" in told.unread[0]) == (3.0, True)
    alone = heard(only(made("m", timed=False, end_ns=10**18, attributes={"llm.model_name": "x"})), USUAL, "id-00001")
    assert (alone.seconds, alone.unread) == (0.0, told.unread)
    assert heard(only(made("s", "", 2), model("m", "s")), USUAL, "id-00001").unread == ()


@pytest.mark.parametrize("says", [{"openinference.span.kind": "LLM"}, {"gen_ai.operation.name": "chat"}])
def test_a_span_that_asked_a_model_and_does_not_name_it_is_a_request(says: dict[str, str]) -> None:
    said = {"input.value": "hi", "output.value": "yo"}
    told = heard(only(made("s", "", 2), made("m", "s", attributes={**says, **said})), USUAL, "id-00001")
    assert (told.models, told.request, told.answer) == (("unnamed",), "hi", "yo")
    wrapper = made("w", "s", attributes=says)  # where another one names it, this one is no question of its own
    assert shape([made("s", "", 2), wrapper, model("m", "w")]) == [("s", ["m"], True)]
    assert shape([made("s", "", 2), made("t", "s", attributes={"gen_ai.operation.name": "execute_tool"})]) == []


def test_a_name_that_is_too_long_is_cut_visibly() -> None:
    told = heard(only(made("m", attributes={"llm.model_name": "x" * 5_000})), USUAL, "id-00001")
    assert told.models == ("x" * 199 + "…",)


@pytest.mark.parametrize("given", ["b-0", "b c d e f g", "x" * 65, 12345678])
def test_a_request_id_that_is_replaced_is_said(given: Any) -> None:
    part = only(model("m", **{"spine.request_id": given}))
    assert own_id(part) is None
    assert "8 to 64 characters" in heard(part, USUAL, TRACE).unread[0]
    well = only(model("m", **{"spine.request_id": "batch-00"}))
    assert (own_id(well), heard(well, USUAL, "batch-00").unread) == ("batch-00", ())


def test_what_was_too_long_is_said_to_be_so() -> None:
    told = heard(only(made("m", attributes={"llm.model_name": "x"}, left_out=["input.value"])), USUAL, "id-00001")
    assert "left out as too long or too many: input.value (a text may have 65,536 characters" in told.lost[0]
    known = model("m", **{"input.value": "hi", "output.value": "yo"})
    assert heard(only(msgspec.structs.replace(known, left_out=["other"])), USUAL, "id-00001").lost == ()


def test_an_earlier_message_never_stands_for_one_that_was_left_out() -> None:
    name = "llm.input_messages.{}.message.{}"
    turns = {name.format(n, "role"): "user" for n in range(3)} | {name.format(n, "content"): f"t{n}" for n in range(3)}
    cut = {key: value for key, value in turns.items() if key != name.format(2, "content")}
    both = {key: value for key, value in cut.items() if key != name.format(2, "role")}
    left = [name.format(2, "role"), name.format(2, "content")]
    for attributes, lost, asked in ((turns, [], "t2"), (cut, left[1:], None), (both, left, None)):
        told = heard(only(made("m", attributes={"llm.model_name": "x", **attributes}, left_out=lost)), USUAL, "id-1")
        assert told.request == asked
    many = json.dumps([{"role": "user", "content": f"t{n}"} for n in range(100)])
    assert heard(only(model("m", **{"gen_ai.input.messages": many})), USUAL, "id-1").request == "t99"


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAE="}}
ANSWERED = [{"role": "user", "content": "earlier"}, {"role": "assistant", "content": "yo"}]
ONLY_AN_IMAGE = [*ANSWERED, {"role": "user", "content": [IMAGE]}]
AND_A_TEXT = [*ANSWERED, {"role": "user", "content": [{"type": "text", "text": "last"}, IMAGE]}]
NUMBERED = "llm.input_messages.{}.message.{}"
NUMBERED_IMAGE = {
    NUMBERED.format(0, "role"): "user", NUMBERED.format(0, "content"): "earlier",
    NUMBERED.format(1, "role"): "assistant", NUMBERED.format(1, "content"): "yo",
    NUMBERED.format(2, "role"): "user", NUMBERED.format(2, "contents.0.message_content.type"): "image",
    NUMBERED.format(2, "contents.0.message_content.image.image.url"): "data:image/png;base64,AAE=",
}  # fmt: skip
NUMBERED_BOTH = NUMBERED_IMAGE | {NUMBERED.format(2, "contents.1.message_content.text"): "last"}
NO_ROLE = {NUMBERED.format(n, key): "x" for n, key in ((3, "reasoning_id"), (4, "tool_calls.0.tool_call.id"))}


@pytest.mark.parametrize(
    ("attributes", "events", "asked"),
    [
        ({"gen_ai.input.messages": ONLY_AN_IMAGE}, [], None),
        ({"gen_ai.input.messages": json.dumps(ONLY_AN_IMAGE)}, [], None),
        ({"gen_ai.input.messages": AND_A_TEXT}, [], "last"),
        (NUMBERED_IMAGE, [], None),
        (NUMBERED_BOTH, [], "last"),
        (NUMBERED_BOTH | NO_ROLE, [], "last"),
        ({}, [Event("gen_ai.user.message", {"message": json.dumps(each)}) for each in ONLY_AN_IMAGE[::2]], None),
        ({}, [Event("gen_ai.user.message", {"message": json.dumps(each)}) for each in AND_A_TEXT[::2]], "last"),
    ],
)  # fmt: skip
def test_an_earlier_message_never_stands_for_a_last_one_without_a_text(
    attributes: dict[str, Any], events: list[Event], asked: str | None
) -> None:
    span = made("m", attributes={"llm.model_name": "x", **attributes}, events=events)
    assert heard(only(span), USUAL, "id-00001").request == asked


@pytest.mark.parametrize(
    "result",
    [
        {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": "21 degrees"}]},
        {"parts": [{"type": "tool_call_response", "id": "t1", "response": "21 degrees", "content": "21 degrees"}]},
        {"parts": [{"function_response": {"name": "weather", "response": {"degrees": 21}}}]},
    ],
    ids=["tool_result", "tool_call_response", "function_response"],
)
def test_what_a_tool_returned_is_not_what_the_user_asked(result: dict[str, Any]) -> None:
    called = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {}}]}
    messages = [{"role": "user", "content": "how warm is it"}, called, {"role": "user", **result}]
    assert heard(only(model("m", **{"gen_ai.input.messages": messages})), USUAL, "id-1").request == "how warm is it"
    kind = next(iter(result))
    beside = {**messages[2], kind: [*result[kind], {"type": "text", "text": "and tomorrow"}]}
    told = heard(only(model("m", **{"gen_ai.input.messages": [*messages[:2], beside]})), USUAL, "id-1")
    assert told.request == "and tomorrow"


def test_the_answer_is_the_message_that_has_a_text_unless_one_before_it_was_left_out() -> None:
    name = "llm.output_messages.{}.message.{}"
    messages = {
        name.format(0, "role"): "assistant",
        name.format(1, "role"): "assistant",
        name.format(1, "content"): "yo",
    }
    for lost, answered in (([], "yo"), ([name.format(0, "content")], None)):
        told = heard(only(made("m", attributes={"llm.model_name": "x", **messages}, left_out=lost)), USUAL, "id-00001")
        assert told.answer == answered
    parts = [{"role": "assistant", "content": "yo"}, {"role": "assistant", "parts": [{"type": "tool_call", "id": "c"}]}]
    assert heard(only(model("m", **{"gen_ai.output.messages": parts})), USUAL, "id-00001").answer == "yo"


CONVERSATION = [
    {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
    {"role": "user", "parts": [{"type": "text", "content": "hi"}, {"type": "text", "content": "there"}]},
]


@pytest.fixture(scope="module")
def openai_spans() -> dict[str, dict[str, Any]]:
    """The attributes that openinference-instrumentation-openai 0.1.66 gave one call of each kind."""
    found: dict[str, dict[str, Any]] = json.loads((FIXTURES / "openinference" / "openai.json").read_bytes())
    return found


@pytest.mark.parametrize(
    ("call", "asked", "answered"),
    [
        ("chat", "no way to pay", "billing"), ("chat_stream", "no way to pay", "billing"),
        ("chat_json", "no way to pay", '{"dept":"damage"}'), ("chat_parts", "no way to pay", "billing"),
        ("chat_tool", "no way to pay", '{"dept":"damage"}'), ("chat_turns", "a visa", "billing"),
        ("completion", "no way to pay", "billing"), ("responses", "no way to pay", "billing"),
        ("embedding", "no way to pay", None),
    ],
)  # fmt: skip
def test_messages_stand_beside_the_json_of_a_whole_call(
    openai_spans: dict[str, dict[str, Any]], call: str, asked: str, answered: str | None
) -> None:
    told = heard(only(made("m", attributes=openai_spans[call])), USUAL, "id-00001")
    assert (told.models, told.request_message, told.answer_message) == (("v0.1.0",), asked, answered)
    assert told.request["model"] == "v0.1.0"


def test_a_text_that_is_hidden_is_none() -> None:
    hidden = {
        "input.value": "__REDACTED__", "output.value": "__REDACTED__",
        "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "__REDACTED__",
    }  # fmt: skip
    told = heard(only(model("m", **hidden)), USUAL, "id-00001")
    assert (told.request, told.answer) == (None, None)


@pytest.mark.parametrize(
    ("attributes", "events", "asked", "answered"),
    [
        ({"gen_ai.input.messages": json.dumps(CONVERSATION),
          "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": "yo"}])}, [], "hi\nthere", "yo"),
        ({"gen_ai.input.messages": CONVERSATION, "gen_ai.completion": "yo"}, [], "hi\nthere", "yo"),
        ({"gen_ai.prompt": "hi", "gen_ai.completion": "yo"}, [], "hi", "yo"),
        ({}, [Event("gen_ai.user.message", {"content": "hi"}), Event("gen_ai.choice", {"message": '{"content":"yo"}'})],
         "hi", "yo"),
        ({}, [Event("gen_ai.client.inference.operation.details",
                    {"gen_ai.input.messages": CONVERSATION, "gen_ai.output.messages": [{"content": "yo"}]})],
         "hi\nthere", "yo"),
        ({}, [Event("gen_ai.content.prompt", {"gen_ai.prompt": "hi"}),
              Event("gen_ai.content.completion", {"gen_ai.completion": "yo"})], "hi", "yo"),
        ({"llm.input_messages.0.message.role": "system", "llm.input_messages.0.message.content": "be brief",
          "llm.input_messages.1.message.role": "user", "llm.input_messages.1.message.content": "hi",
          "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "yo"}, [],
         "hi", "yo"),
        ({"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "hi", "gen_ai.completion.0.content": "yo"}, [],
         "hi", "yo"),
        ({"input.value": '{"body": "hi"}', "output.value": '["yo"]', "output.mime_type": "application/json"}, [],
         {"body": "hi"}, ["yo"]),
        ({"input.value": "{no json", "output.value": "[yo]"}, [], "{no json", "[yo]"),
        ({}, [], None, None),
        ({"gen_ai.input.messages": "[[[", "gen_ai.output.messages": 7}, [], "[[[", None),
    ],
)  # fmt: skip
def test_texts_are_found_where_the_conventions_put_them(
    attributes: dict[str, Any], events: list[Event], asked: Any, answered: Any
) -> None:
    span = made("m", attributes={"gen_ai.request.model": "x", **attributes}, events=events)
    told = heard(only(span), USUAL, "id-00001")
    assert (told.request, told.answer) == (asked, answered)


def test_a_table_names_other_attributes() -> None:
    table = CollectTable(
        model="app.out#version", input="app.in", output="app.out#label", unit="app.customer",
        features={"lang": "app.in#lang", "tier": "app.tier"}, tokens=Tokens(input="app.n"),
    )  # fmt: skip
    out, asked = json.dumps({"version": "v0.2.0", "label": "refund"}), json.dumps({"body": "x", "lang": "de"})
    span = made("m", attributes={"app.out": out, "app.in": asked, "app.customer": 17, "app.tier": "gold", "app.n": "5"})
    assert is_model(span, table)
    assert not is_model(span, USUAL)
    told = heard(only(span, table=table), table, "id-00001")
    assert (told.models, told.answer, told.unit) == (("v0.2.0",), "refund", "17")
    assert told.request == {"body": "x", "lang": "de"}
    assert (told.features, told.tokens) == ({"lang": "de", "tier": "gold"}, (5, 0))


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("user.id", "x" * 200), ("user.id", "a\0b"), ("user.id", ["x"]), ("spine.epoch", -1), ("spine.epoch", "7" * 30),
     ("gen_ai.usage.input_tokens", -5), ("gen_ai.usage.input_tokens", True), ("spine.arm", "x" * 99)],
)  # fmt: skip
def test_hostile_values_count_as_none(attribute: str, value: Any) -> None:
    told = heard(only(model("m", **{attribute: value})), USUAL, "id-00001")
    assert (told.unit, told.told, told.tokens) == (None, Told(), None)
