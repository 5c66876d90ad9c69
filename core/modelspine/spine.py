"""What people ask of a project: its stores, and a request walked back to its evidence.

    spine = open_spine()
    spine.registry.get(sha).eval_report.conjugation_accuracy_by_verb["go"]
    spine.lineage(sha).corpus_dvc_hash
    spine.traces[request_id].model_sha

It decides nothing; it wires. It does not know the command line or a screen.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from miniobserve.traces import Trace
from modelspine.errors import BadInput
from modelspine.ledger.store import Draft, Event, Ledger
from modelspine.project import Project
from modelspine.settings import Settings, load

if TYPE_CHECKING:  # loaded by the first walk: a command that walks nothing should not wait for them
    from modelspine.gate.result import Decision
    from modelspine.incident.finding import Finding
    from modelspine.incident.walk import Walk


class Spine(Project):
    """One project's stores, and the walks over them."""

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
        from modelspine.release.gate_run import compare_entry

        def inputs(trace: Trace) -> Finding:
            return inputs_answer(trace, self.registry.events(), self.ledger.get, self.settings.drift_reports)

        def gate(sha: str) -> Decision:
            return compare_entry(self, sha, baseline=self.settings.eval_baseline).decision

        return Investigator(self.registry, self.corpora, lambda: self.workload, inputs, self.verdict, gate)(trace)


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
