"""The walk up from a model to the rows it was trained on, and down from a corpus to what it touched.

Each hop says how sure it is: ``verified`` (hashed again now), ``recorded`` (written down, not checked),
``missing`` or ``mismatch``, with its evidence and the command that would check it. A hop that is not there
is shown as missing and never guessed. It does not draw.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from miniobserve.reader import TraceReader
from modelspine.errors import Damaged, SpineError, UnknownRef
from modelspine.git import run_git
from modelspine.lineage.corpora import Corpora
from modelspine.lineage.status import Status
from modelspine.registry.entries import NAMED_CORPORA, Detail, Entry, manifest_corpora
from modelspine.registry.mlflow_runs import Artifacts
from modelspine.registry.registry import Registry
from modelspine.text import argument, short, visible

_DEEPEST = 16


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
    """Where one entry comes from."""

    sha: str
    root: Hop
    corpora: tuple[str, ...]
    """DVC hashes of what it was trained on itself, without its parents'."""

    @property
    def corpus_dvc_hash(self) -> str | None:
        """The hash of its (first) corpus."""
        return self.corpora[0] if self.corpora else None

    @property
    def hops(self) -> tuple[Hop, ...]:
        """Every hop, parents before children."""
        found: list[Hop] = []
        left = [self.root]
        while left:
            hop = left.pop()
            found.append(hop)
            left.extend(reversed(hop.children))
        return tuple(found)


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that a corpus went into, itself or through a parent, and the traffic it answered."""

    sha: str
    semver: str | None
    status: str
    via: str
    """``trained`` or the SHA of the parent it came through."""
    days: tuple[tuple[str, int], ...]
    """(UTC day, requests answered)."""


class Walker:
    """Walks over one registry, its runs and its corpora."""

    def __init__(self, registry: Registry, artifacts: Artifacts, corpora: Corpora, root: Path) -> None:
        self._registry = registry
        self._artifacts = artifacts
        self._corpora = corpora
        self._root = root

    def __call__(self, ref: str, *, verify: bool = False) -> Lineage:
        """Walk up from an entry; with ``verify`` every hop is checked now, which reads all of its bytes."""
        sha = self._registry.resolve(ref)
        seen: set[str] = set()
        return Lineage(sha=sha, root=self._entry(sha, verify, seen), corpora=self._registry.get(sha).entry.corpora)

    def impact(self, dvc_hash: str, traces: TraceReader | None) -> list[Touched]:
        """Every entry a corpus went into, and every day of traffic those entries answered: the recall list.

        Raises:
            UnknownRef: no entry was trained on it.
        """
        entries = self._registry.list()
        via = {e.sha: "trained" for e in entries if any(c.startswith(dvc_hash) for c in self._trained_on(e))}
        grew = True
        while grew:
            more = {e.sha: e.parent_sha for e in entries if e.parent_sha in via and e.sha not in via}
            via.update({sha: parent for sha, parent in more.items() if parent})
            grew = bool(more)
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
        """The DVC hashes of all that an entry was trained on itself."""
        if len(entry.corpora) < NAMED_CORPORA:
            return entry.corpora
        return [str(corpus.get("dvc_hash")) for corpus in manifest_corpora(self._registry.get(entry.sha))]

    def corpus_hop(self, sha: str, corpus: dict[str, Any], *, verify: bool) -> Hop:
        """The hop to one corpus, as a training manifest names it."""
        dvc_hash = str(corpus.get("dvc_hash", ""))
        evidence: dict[str, Any] = {
            name: corpus.get(name) for name in ("path", "dvc_hash", "sha256", "rows") if name in corpus
        }

        def check() -> dict[str, Any]:
            place = self._corpora.resolve(dvc_hash)
            found: dict[str, Any] = {"path": place.path, "revision": place.revision}
            if verify:
                read = self._corpora.verify(dvc_hash, sha256=corpus.get("sha256"), pull=True)
                found |= {"rows": read.rows, "sha256_now": read.sha256}
            return found

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
            return _missing("entry", f"parent {short(sha)}: the walk stops here", command)
        try:
            return self._entry(sha, verify, seen)
        except UnknownRef:
            return _missing("entry", f"parent {short(sha)} is not registered", command)

    def _run(self, detail: Detail, verify: bool) -> Hop:
        run_id = detail.entry.run_id
        if not run_id:
            return _missing("run", "no MLflow run is recorded", f"spine show {short(detail.entry.sha)} --json")
        evidence: dict[str, Any] = {"run_id": run_id, "seed": detail.manifest.get("seed")}

        def check() -> dict[str, Any]:
            if not verify:
                return {}
            run = self._artifacts.run(run_id)
            logged = run.params.get("seed")
            if logged is not None and str(evidence["seed"]) != logged:
                raise Damaged(f"MLflow says seed {logged}, the manifest {evidence['seed']}", "")
            return {"mlflow_status": run.status, "final": run.metrics}

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
        known = run_git(self._root, "cat-file", "-e", f"{git_sha[:64]}^{{commit}}")
        whole = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", git_sha) is not None
        status: Status = "verified" if known.returncode == 0 and whole else "recorded"
        dirty = bool(code.get("dirty"))
        return Hop(
            kind="code",
            label=f"commit {git_sha[:12]}{' with uncommitted changes' if dirty else ''}",
            status=status,
            evidence={"git_sha": git_sha, "dirty": dirty, "in_this_clone": status == "verified"},
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
            read = self._corpora.verify(report.eval_set.dvc_hash, sha256=report.eval_set.sha256, pull=True)
            return {"rows": read.rows}

        label = f"evaluated on {report.eval_set.path}  {report.total.k}/{report.total.n}"
        return _hop(
            "eval_set", label, evidence, f"spine lineage {short(detail.entry.sha)} --verify", check, verify=verify
        )


def _hop(
    kind: str, label: str, evidence: dict[str, Any], command: str, check: Callable[[], dict[str, Any]], *, verify: bool
) -> Hop:
    """A hop whose status is what its check did: nothing (recorded), all well (verified), or what it raised."""
    status: Status = "verified" if verify else "recorded"
    try:
        evidence = evidence | check()
    except Damaged as error:
        status, evidence = "mismatch", evidence | {"why": error.message}
    except SpineError as error:
        status, evidence = "missing", evidence | {"why": error.message}
    return Hop(kind=kind, label=label, status=status, evidence=evidence, command=command)


def _missing(kind: str, label: str, command: str) -> Hop:
    return Hop(kind=kind, label=label, status="missing", evidence={}, command=command)
