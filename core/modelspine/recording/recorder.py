"""Makes the trace of a request that another server answered, of what that server told.

The same rules hold as for Spine's own server: the text policy, the price, the features and the values for drift. It
stores nothing, and does not know how the facts came here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from miniobserve.cost import CostMeter, TokenPrice, Usage
from miniobserve.traces import Trace
from modelspine.described.records import EMBEDDING, as_text, is_emptied, output_column
from modelspine.described.service import Described
from modelspine.errors import BadInput
from modelspine.ledger.store import Event
from modelspine.recording.placing import CONTRADICTS, Told, place
from modelspine.recording.plain_values import Digest, encodable
from modelspine.recording.redaction import Redaction, kept_fields, kept_vector, sha256, unkept_fields
from modelspine.recording.whole_calls import answer_of, request_of
from modelspine.registry.claims import CLAIM
from modelspine.registry.model_names import MOST_NAME, Models, Named
from modelspine.text import visible
from modelspine.workload import Answer, grade

if TYPE_CHECKING:
    from modelspine.drift.reference import Values
    from modelspine.ledger.state import State
    from modelspine.project import Project

T = TypeVar("T")
MOST_ERROR = 200
_MOST_FEATURE = 200
_MOST_UNREAD = 400
_OWN_FIELDS = frozenset({"model", "placed", CONTRADICTS, CLAIM, "unread"})
"""Fields of a trace that only Spine writes. A walk relies on them, so a server cannot set them with its answer."""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its answer, as a server told them; hostile until ``Recorder.trace`` has read it."""

    request_id: str
    trace_id: str
    span_id: str
    started_ns: int
    seconds: float
    models: tuple[str, ...] = ()
    """The names that the server gives the model, the most exact one first."""
    request: Any = None
    """A text, an object of columns or any other JSON; None if it was not told."""
    request_message: Any = None
    """The user's message (a text, or files by digest), where ``request`` is the JSON of the whole call beside it."""
    answer: Any = None
    answer_message: Any = None
    unit: str | None = None
    told: Told = Told()
    features: dict[str, Any] = {}
    """Columns or features that were told apart from the request."""
    fields: dict[str, Any] = {}
    """What the server told beside the answer, such as a score; its numbers are measured for drift."""
    notes: dict[str, Any] = {}
    """What is to be known of how the request was told; it stands beside ``fields`` on the trace."""
    stages: dict[str, float] = {}
    tokens: tuple[int, int] | None = None
    status: int = 200
    error: str = ""
    accepted: bool | None = None
    retry_of: str | None = None
    unread: tuple[str, ...] = ()
    """What was told and is not here, because it is no JSON or cannot be true; each with its reason."""
    lost: tuple[str, ...] = ()
    """Why the request, a column of it or the answer is None although it was sent."""
    lost_answer: tuple[str, ...] = ()
    """Why the answer or a column of it is None although it was sent."""


class Recorder:
    """Makes traces for one project."""

    def __init__(self, project: Project) -> None:
        """Read what does not change; raises the ledger's errors."""
        settings = project.settings
        self._project = project
        self._workload = project.workload
        self.redaction = Redaction(text=settings.text_policy, learner_salt=project.ledger.events()[0].hash)
        self._models = Models(settings.mirror, self._ask_mlflow)
        self._lock = threading.Lock()
        self._seen: tuple[float, State, list[Event]] | None = None
        prices = settings.cost
        # The machine that answered is not this one, so its rent is unknown here; tokens have a price anywhere.
        self._meter = CostMeter(
            settings.rate_per_hour,
            settings.price_version,
            prices.currency,
            tokens={name: TokenPrice(row.input, row.output) for name, row in prices.tokens.items()},
        )

    @property
    def labels_are_numbers(self) -> bool:
        """Whether a table describes the workload as a regressor."""
        return isinstance(self._workload, Described) and self._workload.table.kind == "regressor"

    def now(self, age: float = 0.0) -> tuple[State, list[Event]]:
        """The ledger's state and its events, read at most ``age`` seconds ago; safe to use from any thread."""
        with self._lock:
            at = time.monotonic()
            if self._seen is None or at - self._seen[0] > age:
                self._seen = at, self._project.registry.state(), self._project.registry.events()
            return self._seen[1:]

    def trace(self, heard: Heard, state: State, events: list[Event]) -> Trace:
        """Make the trace. What cannot be read is left out, and ``fields.unread`` says why; nothing is refused."""
        named = self._models.resolve(heard.models, state, events)
        unit = heard.unit or heard.retry_of or heard.request_id
        placed = place(state, named.sha, unit, sticky=heard.unit is not None, told=heard.told)
        full = self.redaction.text == "full"
        read = self._read(heard)
        fields = {name: each for name, each in self._without_vector(heard.fields).items() if name not in _OWN_FIELDS}
        taken = [f"{name}: Spine has a field of this name" for name in heard.fields if name in _OWN_FIELDS]
        unread = [*heard.unread, *heard.lost, *heard.lost_answer, *read["unread"]]
        unread += [*unkept_fields(fields, texts=full), *taken]
        text, output = read["input"], read["output"]
        charge = self._meter.charge(Usage(named.sha, named.semver, heard.stages, heard.tokens))
        price = charge.token_price or TokenPrice(None, None)
        notes = {
            **kept_fields(heard.notes, texts=full),
            "model": visible(heard.models[0], MOST_NAME) if heard.models else "",
            "placed": placed.note,
            CONTRADICTS: visible(placed.contradiction, _MOST_UNREAD),
            "unread": visible("; ".join(unread), _MOST_UNREAD),
        }
        tokens = heard.tokens or (0, 0)
        return Trace(
            request_id=heard.request_id,
            trace_id=heard.trace_id,
            span_id=heard.span_id,
            started_ns=heard.started_ns,
            entry_sha=named.sha,
            intended_sha=placed.intended_sha or named.sha,
            semver=named.semver,
            assignment=self.redaction.assignment(placed.assignment),
            unit_hash=self.redaction.unit_hash(heard.unit),
            input=text if full else None,
            input_sha256=sha256(text) if text is not None and self.redaction.text == "hash" else None,
            output=output if full else None,
            accepted=read["accepted"],
            features=read["features"],
            values=read["values"],
            values_by=read["values_by"],
            embedding=kept_vector(read["embedding"], texts=full),
            fields={**kept_fields(fields, texts=full), **{name: note for name, note in notes.items() if note}},
            graded=None if text is None or output is None else grade(self._workload, text, output),
            stages=heard.stages,
            seconds=heard.seconds,
            input_tokens=tokens[0],
            output_tokens=tokens[1],
            cost=charge.amount,
            currency=self._meter.currency,
            rate_per_hour=charge.rate_per_hour,
            workers=charge.workers,
            price_version=self._meter.price_version,
            priced_by=charge.priced_by,
            input_price=price.input,
            output_price=price.output,
            unpriced=charge.unpriced,
            status=heard.status,
            error=_error(heard.error, texts=full),
            source="live",
            retry_of=heard.retry_of,
        )

    def named(self, models: tuple[str, ...]) -> Named:
        """The entry that these names mean now."""
        return self._models.resolve(models, *self.now())

    def _read(self, heard: Heard) -> dict[str, Any]:
        """Input, output, features and values of a request, as its workload reads them."""
        found: dict[str, Any] = {
            "input": None, "output": None, "accepted": heard.accepted, "features": {}, "values": {}, "values_by": "",
            "embedding": heard.fields.get(EMBEDDING), "unread": [],
        }  # fmt: skip
        unread: list[str] = found["unread"]
        request = request_of(self._workload, heard.request, heard.request_message, heard.features)
        heard = msgspec.structs.replace(
            heard, request=request, answer=answer_of(self._workload, heard.answer, heard.answer_message)
        )
        # Each by itself, so that what is wrong with one of them does not lose the other.
        found["input"] = _told(unread, lambda: _text(heard.request))
        if isinstance(self._workload, Described):
            self._described(self._workload, heard, found)
        else:
            found["output"] = _told(unread, lambda: _text(heard.answer))
            _told(unread, lambda: self._asked(heard, found))
        found["unread"] = list(dict.fromkeys(unread))
        return found

    def _described(self, workload: Described, heard: Heard, found: dict[str, Any]) -> None:
        """Read by the table ``[workload]``; a request whose answer failed has its input and features all the same."""
        table, unread = workload.table, found["unread"]
        if isinstance(heard.request, Mapping) and not isinstance(heard.request, Digest):
            request = {**heard.features, **heard.request}
        elif len(table.inputs) == 1 and heard.request is not None:
            request = {**heard.features, table.inputs[0]: heard.request}
        else:
            request = dict(heard.features)
        found["features"] = workload.row_features(request)
        if heard.request is not None or heard.answer is not None:
            # What was lost is said already, and to say that it was not sent would be wrong.
            missing = [] if heard.lost and is_emptied(heard.request, table.inputs) else unread
            found["input"] = _told(missing, lambda: workload.input_of(request)) or found["input"]
        answer = heard.answer
        if answer is None:
            return
        if not isinstance(answer, Mapping) or isinstance(answer, Digest):
            answer = {**heard.fields, table.output or "output": answer}
        elif heard.fields:
            answer = {**heard.fields, **answer}
        found["embedding"] = workload.vector_of({**answer, **request}) or found["embedding"]
        column = output_column(table, answer)
        missing = [] if heard.lost_answer and is_emptied(heard.answer, [column] if column else []) else unread
        told = _told(missing, lambda: workload.told(request, answer))
        if told is None:  # then there is no output either: what was not read must never be graded
            return
        found |= {"output": told.output, "features": told.features}
        found["accepted"] = told.accepted if heard.accepted is None else heard.accepted
        measured = workload.measured(told.features, {**workload.field_numbers(heard.fields), **told.values})
        found |= {"values": _storable(measured, texts=self.redaction.text == "full"), "values_by": workload.values_code}

    def _asked(self, heard: Heard, found: dict[str, Any]) -> None:
        """Read by the workload's class, whose code may fail."""
        text, output = found["input"], found["output"]
        told = {name: visible(_text(value) or "", _MOST_FEATURE) for name, value in heard.features.items()}
        found["features"] = {**(self._features(text) if text is not None else {}), **told}
        if text is None or output is None:
            return
        answer = Answer(
            output=output, accepted=bool(heard.accepted), in_scope=True, input_tokens=0, output_tokens=0,
            fields=dict(heard.fields), features=found["features"], stages={},
        )  # fmt: skip
        kept = text if self.redaction.text == "full" else None
        found["values"], found["values_by"] = self._values.of_answer(kept, answer)

    def _without_vector(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """The fields without the vector that the table ``[workload]`` declares, which is kept apart."""
        declared = self._workload.table.embedding if isinstance(self._workload, Described) else None
        return fields if declared is None else {name: each for name, each in fields.items() if name != declared.column}

    def _features(self, text: str) -> dict[str, str]:
        try:
            return dict(self._workload.features(text))
        except Exception:  # noqa: BLE001 -- foreign code: it must not lose the request
            return {}

    @cached_property
    def _values(self) -> Values:
        from modelspine.drift.reference import Values  # NumPy, which a described workload does not need here

        return Values(self._workload)

    def _ask_mlflow(self, uri: str) -> str:
        """Where MLflow says that the files of a ``models:/`` URI are, as a registration records it."""
        return str(self._project.artifacts.find(uri, unfinished=True).source)


def _error(text: str, *, texts: bool) -> str:
    if texts:
        return encodable(text[:MOST_ERROR])
    return "the server reported an error" if text else ""


def _told(unread: list[str], read: Callable[[], T]) -> T | None:
    """What a reader gives; None where it cannot, and then the reason is in ``unread``."""
    try:
        return read()
    except BadInput as error:
        unread.append(f"{error.message}; {error.hint}")
        return None


def _text(value: Any) -> str | None:
    return None if value is None else as_text(value)


def _storable(values: Mapping[str, Any], *, texts: bool) -> dict[str, Any]:
    """The values as a trace keeps them: lists of tokens only where the text is kept."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if texts or not isinstance(value, tuple)
    }
