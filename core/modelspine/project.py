"""One project: its settings, and its stores, each opened on first use.

It connects the other modules and makes no decisions. It does not know its callers or what they compute from the
stores.
"""

from __future__ import annotations

import re
import threading
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from miniobserve.reader import TraceReader
from miniobserve.traces import Trace
from modelspine.errors import BadInput, UnknownRef
from modelspine.identity.bundle_cache import Cache
from modelspine.ledger.mark import NAME as MARK
from modelspine.ledger.store import Ledger, storage_errors
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.registry.registry import Registry
from modelspine.settings import Settings
from modelspine.text import visible
from modelspine.words import use, words_of
from modelspine.workload import Workload, load_workload

DAYS = "days"
"""The folder in the cache for copies of closed days that are in a bucket."""

if TYPE_CHECKING:  # imported by the properties that need them, so that other commands start faster
    from modelspine.attestation.verdict import SignedVerdict
    from modelspine.labelling import Labelling
    from modelspine.lineage.corpora import Corpora
    from modelspine.lineage.walker import Walker
    from modelspine.traffic.commands import Routing


_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_NAMED = 5

if TYPE_CHECKING:
    _once = cached_property
else:

    class _once(cached_property):  # noqa: N801  (a decorator)
        """A property computed once for a project, also by threads that read it at the same time."""

        def __get__(self, project, owner=None):
            """The value; ``cached_property`` itself takes no lock since Python 3.12, and one for all objects before."""
            if project is None:
                return self
            with project._lock:  # noqa: SLF001
                kept = project.__dict__
                if self.attrname not in kept:
                    kept[self.attrname] = self.func(project)
                return kept[self.attrname]


class Project:
    """One project's stores. With ``readonly`` the database connections themselves refuse every write."""

    def __init__(self, settings: Settings, *, readonly: bool) -> None:
        self.settings = settings
        self.readonly = readonly
        self._lock = threading.RLock()
        self.speak()

    @_once
    def ledger(self) -> Ledger:
        """The ledger; it must exist (``spine init`` creates it)."""
        settings = self.settings
        return Ledger(settings.ledger, actor=settings.actor, readonly=self.readonly, mark=settings.home / MARK)

    @_once
    def cache(self) -> Cache:
        """The cache of verified bundles on this machine."""
        return Cache(self.settings.cache)

    @_once
    def artifacts(self) -> Artifacts:
        """The MLflow store of runs and artifacts."""
        return Artifacts(self.settings.mlflow, self.settings.artifacts, self.settings.home / "tmp")

    @_once
    def registry(self) -> Registry:
        """The entries, and the operations on them."""
        after, settings = None, self.settings
        if settings.mirror is not None:
            from modelspine.registry.mlflow_mirror import Mirror

            after = Mirror(settings.mirror, settings.mlflow, settings.cache, artifacts=settings.artifacts)
        own = {"env": settings.env, "service": settings.service}
        return Registry(self.ledger, self.cache, self.artifacts, **own, after=after)

    @_once
    def routing(self) -> Routing:
        """The operations that change routing."""
        from modelspine.traffic.commands import Routing

        return Routing(self.registry)

    @_once
    def corpora(self) -> Corpora:
        """The corpora tracked by DVC."""
        from modelspine.lineage.corpora import Corpora

        return Corpora(self.settings.root, self.settings.dvc_remote, self.settings.corpus_text)

    @_once
    def lineage(self) -> Walker:
        """Lineage: ``lineage(ref)`` walks to the sources, ``lineage.impact(corpus_hash, traces)`` to the uses."""
        from modelspine.lineage.walker import Walker

        return Walker(self.registry, self.artifacts, self.corpora, self.settings.root)

    @_once
    def traces(self) -> TraceReader:
        """The traces that the server wrote; their store must exist."""
        with storage_errors():
            settings = self.settings
            return TraceReader.open(settings.traces, settings.parquet, settings.cache)

    @_once
    def workload(self) -> Workload:
        """The workload that the settings name or describe."""
        named = self.settings.workload
        if isinstance(named, str):
            return load_workload(named)
        from modelspine.described.service import Described

        return Described(named, self.settings.service_name)

    def speak(self) -> None:
        """Put the words of this project's workload in force, as opening it did."""
        use(lambda: words_of(self.workload))

    @_once
    def labelling(self) -> Labelling:
        """How answers are graded by what is said of them later."""
        from modelspine.labelling import Labelling

        settings = self.settings
        return Labelling(lambda: self.workload, right_score=settings.right_score, text_policy=settings.text_policy)

    @property
    def labels_come_late(self) -> bool:
        """Whether answers are graded by labels that come later than the answers: declared, or some were said."""
        named = self.settings.workload
        return (not isinstance(named, str) and bool(named.label)) or self.traces.has_labels

    def trace(self, name: str) -> Trace:
        """The trace of a request, named by its request id or by its W3C trace id.

        Raises:
            UnknownRef: no request has that id.
            BadInput: several requests have that trace id.
        """
        found = self.named_traces(name)
        if len(found) > 1:
            ids = ", ".join(visible(trace.request_id, 64) for trace in found[:_NAMED])
            more = f" and {len(found) - _NAMED:,} more" if len(found) > _NAMED else ""
            raise BadInput(
                f"{len(found):,} requests have the trace id {visible(name, 80)!r}: {ids}{more}",
                f"give one of their ids; `spine traces show {visible(name, 80)}` lists them",
            )
        return found[0]

    def named_traces(self, name: str) -> tuple[Trace, ...]:
        """The trace of the request with this id; if there is none, those with this W3C trace id, oldest first.

        Raises:
            UnknownRef: there is none.
        """
        with storage_errors():
            found = self.traces.get(name)
            named = (found,) if found is not None else self.traces.of_trace(name) if _TRACE_ID.fullmatch(name) else ()
        if not named:
            raise UnknownRef(
                f"no trace has the id {visible(name, 80)!r}",
                "search by text: `spine traces list --text WORD --day YYYY-MM-DD`",
            )
        return tuple(map(self._claimed, named))

    def _claimed(self, trace: Trace) -> Trace:
        """A trace without an entry with the one that its model's name was claimed for."""
        if trace.entry_sha or "model" not in trace.fields:
            return trace
        from modelspine.registry.claims import as_claimed

        return as_claimed(trace, self.registry.state(), self.registry.events())

    def verdict(self, digest: str) -> SignedVerdict:
        """The signed verdict with this digest, its signature checked again.

        Raises:
            Refused: it is malformed, no trusted key signed it, or there is no valid trust file.
            Damaged: its bytes are missing or do not match the digest.
        """
        from modelspine.attestation.trust import load_trust
        from modelspine.attestation.verdict import read_verdict

        return read_verdict(self.ledger.get(digest), load_trust(self.settings, self.registry.state().env))

    def close(self) -> None:
        """Close the stores that were opened."""
        # Looked up in __dict__, because reading the cached properties here would open them.
        with self._lock:
            opened = [self.__dict__.pop(name, None) for name in ("ledger", "traces")]
        for store in opened:
            if store is not None:
                store.close()

    def __enter__(self) -> Self:
        """The project itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Close the stores that were opened."""
        self.close()
