"""The walk up from an entry to its training data, and down from a corpus to the entries and traffic it affected.

Each hop has a status (``lineage.status``), its evidence and the command that checks it. What cannot be found is
missing, what cannot be looked at is not checked, and nothing is guessed. It draws nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from miniobserve.reader import TraceReader
from modelspine.errors import Damaged, SpineError, Unavailable, UnknownRef
from modelspine.git import git_output
from modelspine.lineage.corpora import Corpora
from modelspine.lineage.corpus_files import sha256_of
from modelspine.lineage.status import Status
from modelspine.registry.entries import NAMED_CORPORA, Detail, Entry, manifest_corpora
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.registry.registry import Registry
from modelspine.text import argument, short, visible

_DEEPEST = 16
"""How many entries a walk visits at most; a longer chain of parents is cut, not an error."""


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a walk."""

    kind: str
    """entry | run | code | corpus | eval_set."""
    label: str
    status: Status
    evidence: dict[str, Any]
    command: str
    children: tuple[Hop, ...] = ()


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """The origin of one entry."""

    sha: str
    root: Hop
    corpora: tuple[str, ...]
    """DVC hashes of its own training corpora, without those of its parents."""

    @property
    def corpus_dvc_hash(self) -> str | None:
        """The hash of its first corpus; None where it has none."""
        return self.corpora[0] if self.corpora else None

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Every hop, parents before children."""
        found: list[Hop] = []
        pending = [self.root]
        while pending:
            hop = pending.pop()
            found.append(hop)
            pending.extend(reversed(hop.children))
        return tuple(found)


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """An entry trained on a corpus, directly or through a parent, and the traffic it answered."""

    sha: str
    semver: str | None
    status: str
    via: str
    """``trained``, or the SHA of the parent through which it depends on the corpus."""
    days: tuple[tuple[str, int], ...]
    """(UTC day, requests answered)."""


class Walker:
    """Walks over one registry with its MLflow runs and corpora."""

    def __init__(self, registry: Registry, artifacts: Artifacts, corpora: Corpora, root: Path) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._corpora = corpora
        self._root = root

    def __call__(self, ref: str, *, verify: bool = False) -> Lineage:
        """Walk up from an entry; with ``verify`` every hop is checked now, which reads all bytes.

        Raises:
            UnknownRef, AmbiguousRef: ``ref`` names no entry, or several.
        """
        sha = self._registry.resolve(ref)
        walk = Walker(self._registry, self._artifacts, self._corpora.snapshot(), self._root)
        return Lineage(sha=sha, root=walk._entry(sha, verify, set()), corpora=self._registry.get(sha).entry.corpora)

    def impact(self, dvc_hash: str, traces: TraceReader | None) -> list[Touched]:
        """The recall list of a corpus: every entry trained on it, directly or not, with its traffic by day.

        Args:
            dvc_hash: the corpus's DVC hash, or its first characters (at least 4).
            traces: the trace store; without it no traffic is listed.

        Raises:
            UnknownRef: no entry was trained on it.
        """
        entries = self._registry.list()
        via = {e.sha: "trained" for e in entries if any(c.startswith(dvc_hash) for c in self._trained_on(e))}
        # Each round adds the children of what was found, so grandchildren follow, whatever the order of entries.
        while more := {e.sha: e.parent_sha for e in entries if e.parent_sha in via and e.sha not in via}:
            via.update({sha: parent for sha, parent in more.items() if parent})
        if not via or len(dvc_hash) < 4:
            raise UnknownRef(
                f"no entry was trained on {visible(dvc_hash, 60)!r}",
                "`spine lineage REF` shows the corpora of an entry",
            )
        return [
            Touched(
                sha=e.sha,
                semver=e.semver,
                status=e.status,
                via=via[e.sha],
                days=tuple(traces.usage(e.sha)) if traces else (),
            )
            for e in entries
            if e.sha in via
        ]

    def _trained_on(self, entry: Entry) -> Iterable[str]:
        """The DVC hashes of an entry's own training corpora."""
        # An event names only the first ``NAMED_CORPORA``. With fewer the list is complete, and no evidence is read.
        if len(entry.corpora) < NAMED_CORPORA:
            return entry.corpora
        return [str(corpus.get("dvc_hash")) for corpus in manifest_corpora(self._registry.get(entry.sha))]

    def corpus_hop(self, sha: str, corpus: dict[str, Any], *, verify: bool) -> Hop:
        """The hop to one corpus of a training manifest."""
        dvc_hash = str(corpus.get("dvc_hash", ""))
        evidence: dict[str, Any] = {
            name: corpus.get(name) for name in ("path", "dvc_hash", "sha256", "rows") if name in corpus
        }

        def check() -> dict[str, Any]:
            path = str(corpus.get("path", ""))
            found: dict[str, Any] = {}
            if verify:  # first, because it fetches the listing of a directory, without which a file in it has no place
                read = self._corpora.verify(dvc_hash, sha256=corpus.get("sha256"), pull=True, path=path)
                found = {"rows": read.rows, "sha256_now": read.sha256}
            place = self._corpora.resolve(dvc_hash, path)
            return {"path": place.path, "revision": place.revision} | found

        label = f"{corpus.get('path', 'corpus')}  md5 {dvc_hash[:12]}"
        return _hop("corpus", label, evidence, f"spine lineage {short(sha)} --verify", check, verify=verify)

    def _entry(self, sha: str, verify: bool, seen: set[str]) -> Hop:
        seen.add(sha)
        detail = self._registry.get(sha)
        name = f"{detail.entry.semver or detail.entry.status}  {short(sha)}  {detail.entry.variant}"

        def check() -> dict[str, Any]:
            return {"rehashed": "equal"} if verify and self._registry.verified(sha) else {}

        children = [self._run(detail, verify), self._code(detail)]
        children += [self.corpus_hop(sha, corpus, verify=verify) for corpus in manifest_corpora(detail)]
        if not manifest_corpora(detail):
            children.append(_missing("corpus", "its manifest names no corpus", f"spine show {short(sha)} --json"))
        children.append(self._eval_set(detail, verify))
        parent = detail.entry.parent_sha
        if parent:
            children.append(self._parent(parent, verify, seen))
        evidence = {"sha": sha, "registered": f"#{detail.entry.seq}", "at": detail.entry.registered_at}
        command = f"spine show .spine/cache/{sha}"
        hop = _hop("entry", name, evidence, command, check, verify=verify)
        return msgspec.structs.replace(hop, children=tuple(children))

    def _parent(self, sha: str, verify: bool, seen: set[str]) -> Hop:
        command = f"spine lineage {short(sha)} --verify"
        if sha in seen or len(seen) > _DEEPEST:
            return _missing("entry", f"parent {short(sha)}: not followed (a cycle, or too many parents)", command)
        try:
            return self._entry(sha, verify, seen)
        except UnknownRef:
            return _missing("entry", f"parent {short(sha)} is not registered", command)

    def _run(self, detail: Detail, verify: bool) -> Hop:
        run_id = detail.entry.run_id
        if not run_id:
            return _missing("run", "no MLflow run is recorded", f"spine show {short(detail.entry.sha)} --json")
        settings = detail.manifest.get("hyper_parameters")
        parent = detail.manifest.get("parent_run_id")
        evidence: dict[str, Any] = {
            "run_id": run_id,
            "seed": detail.manifest.get("seed"),
            "hyper_parameters": settings if isinstance(settings, dict) else {},
            "parent_run_id": str(parent) if parent else None,
        }

        def check() -> dict[str, Any]:
            if not verify:
                return {}
            run = self._artifacts.run(run_id)
            if run.deleted:
                raise UnknownRef("the run was deleted in MLflow, which may remove its files at any time", "")
            logged = run.params.get("seed")
            if logged is not None and str(evidence["seed"]) != logged:
                raise Damaged(f"the seed is {logged} in MLflow but {evidence['seed']} in the manifest", "")
            tagged = run.tags.get("parent_run_id")
            if tagged is not None and tagged != (evidence["parent_run_id"] or tagged):
                theirs = f"{tagged[:12]} in MLflow but {evidence['parent_run_id'][:12]} in the manifest"
                raise Damaged(f"the parent's run is {visible(theirs, 80)}", "")
            # The manifest's hyper-parameters are part of the entry's evidence; MLflow's stand in for those it lacks.
            return {
                "mlflow_status": run.status,
                "final": run.metrics,
                "params": run.params,
                "hyper_parameters": evidence["hyper_parameters"] or run.params,
                "parent_run_id": evidence["parent_run_id"] or tagged,
            }

        return _hop(
            "run",
            f"run {run_id[:12]}",
            evidence,
            f"spine lineage {short(detail.entry.sha)} --verify",
            check,
            verify=verify,
        )

    def _code(self, detail: Detail) -> Hop:
        code = detail.manifest.get("code")
        code = code if isinstance(code, dict) else {}
        git_sha = str(code.get("git_sha") or "")
        command = f"git -C . cat-file -t {argument(git_sha) if git_sha else 'SHA'}"
        if not git_sha:
            return _missing("code", "no commit is recorded", command)
        # A branch name or a short hash resolves too, but may mean another commit tomorrow.
        complete = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", git_sha) is not None
        status: Status = "recorded"
        why: dict[str, Any] = {}
        try:
            if complete and git_output(self._root, "rev-parse", "--verify", "--quiet", f"{git_sha}^{{commit}}"):
                status = "verified"
        except Unavailable as error:
            status, why = "not_checked", {"why": error.message, "hint": error.hint}
        dirty = bool(code.get("dirty"))
        return Hop(
            kind="code",
            label=f"commit {git_sha[:12]}{' with uncommitted changes' if dirty else ''}",
            status=status,
            evidence={"git_sha": git_sha, "dirty": dirty, "in_this_clone": status == "verified", **why},
            command=command,
        )

    def _eval_set(self, detail: Detail, verify: bool) -> Hop:
        report = detail.eval_report
        if report is None:
            return _missing("eval_set", "it was never evaluated", f"spine show {short(detail.entry.sha)}")
        evidence = msgspec.to_builtins(report.eval_set)

        def check() -> dict[str, Any]:
            if not verify:
                return {}
            named = report.eval_set
            try:
                read = self._corpora.verify(named.dvc_hash, sha256=named.sha256, pull=True, path=named.path)
            except (UnknownRef, Unavailable):  # a set that DVC does not track may be a file of the project
                if sha256_of(self._root, named.path) != named.sha256:
                    raise
                return {"sha256_now": named.sha256}
            return {"rows": read.rows}

        counted = f"  {report.total.k}/{report.total.n}" if report.total is not None else ""
        label = f"evaluated on {report.eval_set.path}{counted}"
        return _hop(
            "eval_set", label, evidence, f"spine lineage {short(detail.entry.sha)} --verify", check, verify=verify
        )


def _hop(
    kind: str, label: str, evidence: dict[str, Any], command: str, check: Callable[[], dict[str, Any]], *, verify: bool
) -> Hop:
    """Make a hop by running its check: success gives what ``verify`` implies, an error the status it stands for."""
    status: Status = "verified" if verify else "recorded"
    try:
        evidence = evidence | check()
    except Damaged as error:
        status, evidence = "mismatch", evidence | {"why": error.message}
    except SpineError as error:
        # What did not answer may well be there; only what was looked for in vain is missing.
        status = "not_checked" if isinstance(error, Unavailable) else "missing"
        evidence = evidence | {"why": error.message, "hint": error.hint}
    return Hop(kind=kind, label=label, status=status, evidence=evidence, command=command)


def _missing(kind: str, label: str, command: str) -> Hop:
    return Hop(kind=kind, label=label, status="missing", evidence={}, command=command)
