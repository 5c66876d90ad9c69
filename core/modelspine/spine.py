"""The facade of a project: its stores, and the investigation of a request.

    spine = open_spine()
    spine.registry.get(sha).eval_report.conjugation_accuracy_by_verb["go"]
    spine.lineage(sha).corpus_dvc_hash
    spine.traces[request_id].model_sha

It connects the other modules and makes no decisions. It does not know the command line or the console.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from miniobserve.traces import Trace
from modelspine.errors import BadInput
from modelspine.ledger.mark import NAME as MARK
from modelspine.ledger.store import Draft, Event, Ledger
from modelspine.project import Project
from modelspine.settings import Settings, load

if TYPE_CHECKING:  # imported by the first walk, so that other commands start faster
    from modelspine.gate.result import Decision
    from modelspine.incident.finding import Finding
    from modelspine.incident.walk import Walk


class Spine(Project):
    """One project's stores, and the walk from a request back to its evidence."""

    def incident(self, request_id: str) -> Walk:
        """Walk a request, given by its id, back to its evidence.

        Raises:
            UnknownRef: no trace has that id.
        """
        return self.walk(self.trace(request_id))

    def walk(self, trace: Trace) -> Walk:
        """Walk a trace back to its evidence: entry, training data, gate and inputs."""
        from modelspine.incident.inputs_answer import inputs_answer
        from modelspine.incident.walk import Investigator
        from modelspine.release.gate_run import compare_entry

        def inputs(trace: Trace) -> Finding:
            return inputs_answer(trace, self.registry.events(), self.ledger.get, self.settings.drift_reports)

        def gate(sha: str) -> Decision:
            return compare_entry(self, sha, baseline=self.settings.eval_baseline).decision

        return Investigator(
            self.registry, self.corpora, lambda: self.workload, inputs, self.verdict, gate, self.settings.files
        )(trace)


def open_spine(
    start: Path | None = None, *, flags: Mapping[str, str | None] | None = None, readonly: bool = False
) -> Spine:
    """Open the project that a folder (default: the working directory) belongs to.

    Raises:
        BadInput: its configuration is not valid.
    """
    return Spine(load(start, flags=flags), readonly=readonly)


def create_ledger(settings: Settings, env: str) -> tuple[Event, bool]:
    """Create a project's ledger for an environment; returns its first event, and False if the ledger existed.

    Raises:
        BadInput: a ledger exists and belongs to another environment.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    mark = settings.home / MARK
    with closing(Ledger(settings.ledger, actor=settings.actor, create=True, mark=mark)) as ledger:
        events = ledger.events()
        if not events:
            appended, created = ledger.append([Draft(kind="opened", body={"env": env})], expected=0)
            return appended[0], created
        if events[0].body.get("env") != env:
            # The environment decides whether unsigned promotions are allowed, so nothing may change it afterwards.
            raise BadInput(
                f"this ledger was created for {events[0].body.get('env')} and cannot become {env}",
                "set another `home` for a ledger of another environment",
            )
        return events[0], False
