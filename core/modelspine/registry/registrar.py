"""Registering a bundle: its bytes and its evidence are stored, and then the event that names them is appended.

It decides nothing about entries that exist, except that evidence is added to them and never replaced.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import msgspec

from modelspine.errors import Refused, Unavailable, UnknownRef
from modelspine.identity.bundle import Bundle
from modelspine.identity.bundle_cache import Cache
from modelspine.ledger.state import State, completes
from modelspine.ledger.store import Draft, Ledger
from modelspine.ledger.transactions import History, Receipt
from modelspine.registry.entries import FOLDER, Registration, new_evidence, registered_body, source_of
from modelspine.registry.manifest import NO_FACTS, Facts, evidence_with
from modelspine.registry.mlflow_runs import Artifacts, Found, Run
from modelspine.registry.rules import may_register
from modelspine.text import short, visible

_EXPERIMENT = "spine"
"""The MLflow experiment for folders that were registered, where the project's service has no name."""
_WEIGHTS = (
    ".safetensors", ".bin", ".onnx", ".gguf", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".msgpack", ".npz", ".pkl",
    ".joblib", ".tflite", ".pb", ".xml", ".engine", ".ot",
)  # fmt: skip
"""Endings of files that hold weights, beside a config.json."""


class Registrar:
    """Registers bundles in one ledger, for the service of that name (empty if it has none)."""

    def __init__(self, ledger: Ledger, history: History, cache: Cache, artifacts: Artifacts, service: str) -> None:
        self._ledger = ledger
        self._history = history
        self._cache = cache
        self._artifacts = artifacts
        self._service = service

    def found(self, found: Found, facts: Facts = NO_FACTS) -> Registration:
        """Register what a source in MLflow names; see ``Registry.register`` for the errors."""
        run_id = found.run.run_id if found.run is not None else None
        with self._artifacts.copied(found) as copy:
            done = self.folder(copy.folder, facts, run=found.run, run_id=run_id, origin=str(found.source))
        left_out = tuple(sorted({*done.by_products, *copy.left_out}))
        return msgspec.structs.replace(done, warnings=found.warnings + done.warnings, by_products=left_out)

    def folder(
        self,
        source: Path,
        facts: Facts = NO_FACTS,
        *,
        run: Run | None = None,
        run_id: str | None = None,
        origin: str = "",
        follow: bool = False,
        log: bool = False,
    ) -> Registration:
        """Register a bundle directory; see ``Registry.register`` for the errors.

        Args:
            source: the directory.
            facts: what is said about the bundle beside its files.
            run: MLflow's record of the run that made it, whose parameters stand in for a missing manifest.
            run_id: the id of that run.
            origin: where in MLflow the bundle came from; empty for a folder of this machine.
            follow: count links to regular files as those files.
            log: log the files into a new run, unless the entry is known and names a place that has them.
        """
        with ExitStack() as held:
            return self._stored(source, facts, run, run_id, origin, follow, log, held)

    def _stored(
        self, source: Path, facts: Facts, run: Run | None, run_id: str | None, origin: str, follow: bool,
        log: bool, held: ExitStack,
    ) -> Registration:  # fmt: skip
        """Store and record a bundle; ``held`` keeps other registrations away between the two."""
        # Bytes and evidence are stored before the event that names them, never the other way round: after a crash
        # there may be unused files, but no entry without its files.
        bundle = self._cache.add(
            source,
            follow=follow,
            evidence=evidence_with(source, facts, run, follow=follow),
            is_recorded=lambda sha: sha in self._history.state().entries,
            held=held,
        )
        warnings: list[str] = []
        renamed: list[str] = []
        logged = ""
        if log and (place := self._place(bundle.sha)) is not None:
            run_id, origin = place
        elif log:
            logged = self._logged(bundle)
            known = self._history.state().entries.get(bundle.sha)
            run_id = run_id or (known.registered.body.get("run_id") if known is not None else None)
            origin = f"runs:/{logged}/{FOLDER}"
        body = registered_body(bundle, run_id, self._ledger.put, source=origin, service=self._service, logged=logged)
        if bundle.parent_sha and bundle.parent_sha not in self._history.state().entries:
            warnings.append(f"the parent {short(bundle.parent_sha)} is not registered: lineage will show it as missing")

        def decide(state: State) -> list[Draft]:
            known = state.entries.get(bundle.sha)
            new = known is None or completes(known.registered.body, body)
            if new and (another := may_register(state, self._service)):
                renamed.append(another)
            return [Draft(kind="registered", body=body)] if new else []

        done = self._history.change(decide, sha=bundle.sha)
        if done:
            warnings += [*renamed[-1:], *doubts_about(bundle)]  # what was decided last holds: it may be decided again
        else:
            registered = self._history.state().entries[bundle.sha].registered
            warnings += new_evidence(registered, body)
            done = Receipt.existing(registered, bundle.sha)
        fields = msgspec.structs.asdict(done) | {"warnings": tuple(warnings)}
        return Registration(**fields, by_products=bundle.by_products, logged=origin if logged else "")

    def _place(self, sha: str) -> tuple[str | None, str] | None:
        """The run of a known entry and the source of its files; None if no such place is known, or it has no files."""
        known = self._history.state().entries.get(sha)
        source = source_of(known.registered.body) if known is not None else None
        if known is None or source is None:
            return None
        try:
            self._artifacts.find(source, unfinished=True)
        except (UnknownRef, Refused):  # MLflow answers, and the files are gone or in its trash
            return None
        return known.registered.body.get("run_id"), source

    def _logged(self, bundle: Bundle) -> str:
        """Log the stored copy of a bundle into a new run; returns the run's id.

        Raises:
            Unavailable: MLflow, or the place of its artifacts, cannot be written.
        """
        name, tags = f"registered {short(bundle.sha)}", {"spine.sha": bundle.sha}
        try:
            # The copy and not the source, which may have changed since it was hashed.
            return self._artifacts.put(
                self._cache.path(bundle.sha), experiment=self._service or _EXPERIMENT, name=name, tags=tags
            )
        except Unavailable as error:
            raise Unavailable(
                f"nothing was registered, because the bundle cannot be logged into MLflow: {error.message}",
                f"{error.hint}; or keep it on this machine alone: `spine register DIR --local`",
            ) from error


def doubts_about(bundle: Bundle) -> list[str]:
    """What looks as if the wrong folder was given; an entry cannot be taken back."""
    names = [file.name for file in bundle.files if file.name not in bundle.evidence]
    folders = sorted({name.partition("/")[0] for name in names if "/" in name})
    if len(folders) > 1 and all("/" in name for name in names):
        some = visible(", ".join(folders[:4]), 120)
        return [f"the folder has no file of its own, only folders ({some}): are these several models?"]
    if "config.json" in names and not any(name.endswith(_WEIGHTS) for name in names):
        return ["the folder has a config.json and no weights: is the model complete?"]
    return []
