"""One project's spine: settings, and every store opened when it is first asked for.

    spine = open_spine()
    spine.registry.get(sha).eval_report.conjugation_accuracy_by_verb["go"]
    spine.lineage(sha).corpus_dvc_hash
    spine.traces[request_id].model_sha

It decides nothing; it wires. It does not know the command line or a screen.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from modelspine.errors import BadInput, UnknownRef
from modelspine.identity.bundle_cache import Cache
from modelspine.ledger.store import Draft, Event, Ledger, storage_errors
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.registry.registry import Registry
from modelspine.settings import Settings, load
from modelspine.text import visible
from modelspine.workload import Workload, load_workload

if TYPE_CHECKING:  # loaded by the first walk: a command that walks nothing should not wait for them
    from modelspine.attestation.verdict import SignedVerdict
    from modelspine.incident.finding import Finding
    from modelspine.incident.walk import Walk
    from modelspine.lineage.corpora import Corpora
    from modelspine.lineage.walker import Walker


class Spine:
    """One project's stores. ``readonly`` refuses every write at the database connection itself."""

    def __init__(self, settings: Settings, *, readonly: bool) -> None:
        self.settings = settings
        self.readonly = readonly
        self._lock = threading.RLock()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger; there must be one (``spine init`` makes it)."""
        return Ledger(self.settings.ledger, actor=self.settings.actor, readonly=self.readonly)

    @cached_property
    def cache(self) -> Cache:
        """The verified bundles on this machine."""
        return Cache(self.settings.cache)

    @cached_property
    def artifacts(self) -> Artifacts:
        """The MLflow store."""
        return Artifacts(self.settings.mlflow, self.settings.artifacts, self.settings.home / "tmp")

    @cached_property
    def registry(self) -> Registry:
        """The entries, and what may be done to them."""
        after = None
        if self.settings.mirror is not None:
            from modelspine.registry.mlflow_mirror import Mirror

            after = Mirror(self.settings.mirror, self.settings.mlflow, self.settings.cache)
        return Registry(self.ledger, self.cache, self.artifacts, env=self.settings.env, after=after)

    @cached_property
    def corpora(self) -> Corpora:
        """The corpora under DVC."""
        from modelspine.lineage.corpora import Corpora

        return Corpora(self.settings.root, self.settings.dvc_remote)

    @cached_property
    def lineage(self) -> Walker:
        """Walks: ``lineage(ref)`` up, ``lineage.impact(corpus_hash, traces)`` down."""
        from modelspine.lineage.walker import Walker

        return Walker(self.registry, self.artifacts, self.corpora, self.settings.root)

    @cached_property
    def traces(self) -> TraceReader:
        """The traces of the server; there must have been one."""
        with storage_errors():
            return TraceReader.open(self.settings.traces, self.settings.parquet)

    @property
    def workload(self) -> Workload:
        """The workload the settings name."""
        with self._lock:
            return self._workload

    @cached_property
    def _workload(self) -> Workload:
        return load_workload(self.settings.workload)

    def trace(self, request_id: str) -> Trace:
        """The trace of a request.

        Raises:
            UnknownRef: no trace has that id.
        """
        with storage_errors():
            found = self.traces.get(request_id)
        if found is None:
            raise UnknownRef(
                f"no trace has the id {visible(request_id, 80)!r}",
                "find it by what was said: `spine traces list --text WORD --day YYYY-MM-DD`",
            )
        return found

    def incident(self, request_id: str) -> Walk:
        """Walk a request back to its evidence.

        Raises:
            UnknownRef: no trace has that id.
        """
        return self.walk(self.trace(request_id))

    def walk(self, trace: Trace) -> Walk:
        """Walk a trace back to its evidence."""
        from modelspine.incident.inputs_answer import inputs_answer
        from modelspine.incident.walk import Investigator

        def inputs(trace: Trace) -> Finding:
            return inputs_answer(trace, self.registry.events(), self.ledger.get, self.settings.drift_reports)

        return Investigator(self.registry, self.corpora, lambda: self.workload, inputs, self.verdict)(trace)

    def verdict(self, digest: str) -> SignedVerdict:
        """A signed verdict that was promoted on, its signature checked now.

        Raises:
            Refused: no trusted key signed it.
            Damaged: its bytes are not those it was promoted on.
        """
        from modelspine.attestation.verdict import read_verdict
        from modelspine.release.promotion import trust_of

        return read_verdict(self.ledger.get(digest), trust_of(self))

    def close(self) -> None:
        """Close what was opened."""
        for name in ("ledger", "traces"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()

    def __enter__(self) -> Self:
        """The spine itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close what was opened."""
        self.close()


def open_spine(
    start: Path | None = None, *, flags: Mapping[str, str | None] | None = None, readonly: bool = False
) -> Spine:
    """The spine of the project a folder belongs to (default: the working directory)."""
    return Spine(load(start, flags=flags), readonly=readonly)


def create_ledger(settings: Settings, env: str) -> tuple[Event, bool]:
    """Make the ledger of a project, and write down which environment it is; a ledger that exists stays as it is.

    Raises:
        BadInput: it exists and is of another environment.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(settings.ledger, actor=settings.actor, create=True)
    try:
        events = ledger.events()
        if not events:
            made, created = ledger.append([Draft(kind="opened", body={"env": env})], expected=0)
            return made[0], created
        if events[0].body.get("env") != env:
            raise BadInput(
                f"this ledger was opened as {events[0].body.get('env')} and stays that",
                "use another `home` for another one",
            )
        return events[0], False
    finally:
        ledger.close()
