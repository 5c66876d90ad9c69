"""The records of an entry: the event body that registers it, its row in a list, and its full detail.

It makes no decisions and does not know where evidence is stored: callers pass ``put`` and ``get``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from modelspine.canonical_json import canonical, parse_json
from modelspine.errors import BundleRefused
from modelspine.gate.eval_report import CostPerQuality, Count, EvalReport, read_report
from modelspine.identity.bundle import Bundle, File
from modelspine.identity.tensors import Tensor
from modelspine.ledger.state import Known, State
from modelspine.ledger.store import MAX_BODY, Event
from modelspine.ledger.transactions import Receipt
from modelspine.registry.promotion_record import VerdictKind, verdict_kind
from modelspine.text import short

FOLDER = "bundle"
"""The artifact path of a bundle within its MLflow run, unless another one was recorded."""
EVIDENCE = ("train_manifest", "corpus_manifest", "eval_report")
"""A bundle's files that are evidence and not part of its identity, without ``.json``."""

NAMED_CORPORA = 4
"""Maximum number of corpora in an entry's event, whose size is limited; the manifest may name more."""


_RESULT = 10
"""Characters of a gate's result that are kept; an event made by hand may hold any text."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the registry."""

    sha: str
    semver: str | None
    """The latest of ``semvers``."""
    semvers: tuple[str, ...]
    status: str
    """One of pending, promoted, held and tombstoned."""
    production: bool
    arms: tuple[str, ...]
    parent_sha: str | None
    variant: str
    accuracy: float | None
    total: Count | None
    false_accept: Count | None
    corpora: tuple[str, ...]
    """DVC hashes of its training corpora, at most ``NAMED_CORPORA`` of them."""
    run_id: str | None
    size_bytes: int
    registered_at: str
    seq: int
    cost_per_quality: CostPerQuality | None = None
    """What its right answers cost at its newest gate run that measured it; None before one did."""
    gate: str | None = None
    """The result of its newest gate run: pass, fail or error; None before one."""
    verdict: VerdictKind | None = None
    """The kind of verdict of its newest promotion; None if it was never promoted."""
    source: str | msgspec.UnsetType = msgspec.UNSET
    """Where in MLflow it came from; unset for the folder ``bundle`` of its run, and for a folder of a machine."""
    service: str | msgspec.UnsetType = msgspec.UNSET
    """The service that it was registered for; unset where its project has no name."""


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """One entry with all its evidence and history."""

    entry: Entry
    manifest: dict[str, Any]
    corpus_manifest: dict[str, Any]
    eval_report: EvalReport | None
    weights: str
    config_digest: str
    config: dict[str, Any]
    tensors: tuple[Tensor, ...]
    assets: tuple[File, ...]
    """The further files that are part of its identity, by path."""
    history: tuple[Event, ...]
    """Every event that names it."""

    @property
    def cost_per_quality(self) -> CostPerQuality | None:
        """What its right answers cost at the gate, in USD per million; None before a gate run measured it."""
        return self.entry.cost_per_quality


class Registration(Receipt, frozen=True, kw_only=True):
    """The result of a registration."""

    by_products: tuple[str, ...] = ()
    """What the folder held and was neither hashed nor stored; a folder ends in "/"."""
    logged: str = ""
    """The source in MLflow that this registration logged the files into; empty if it logged none."""


def registered_body(
    bundle: Bundle, run_id: str | None, put: Callable[[bytes], str], *, source: str = "", service: str = "",
    logged: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The body of the event that registers a bundle; evidence is stored with ``put`` and named by digest.

    ``source`` is where in MLflow its files are, ``service`` the service that it was registered for, and ``logged`` the
    run that the files were logged into, if that is not the one that trained it.

    Raises:
        BadInput: a manifest or the report is not strict JSON, or the report is not a ``spine.eval/1``.
        BundleRefused: a manifest is not an object, or the report is about another entry.
    """
    manifest = _object(bundle, "train_manifest")
    report = _report(bundle)
    table = {"config": bundle.config_json, "tensors": [msgspec.to_builtins(t) for t in bundle.tensors]}
    # Only where there are some, so that an entry without assets has the record that earlier versions wrote.
    if bundle.asset_files:
        table["assets"] = [msgspec.to_builtins(file) for file in bundle.asset_files]
    evidence = {name: put(bundle.evidence[f"{name}.json"]) for name in EVIDENCE if f"{name}.json" in bundle.evidence}
    evidence["bundle"] = put(msgspec.json.encode(table))
    body: dict[str, Any] = {
        "sha": bundle.sha,
        "weights": bundle.weights,
        "config": bundle.config,
        **({"assets": bundle.assets} if bundle.assets is not None else {}),
        "parent": bundle.parent_sha,
        # Texts from outside are cut, because an event's body has a size limit.
        "variant": str(bundle.config_json.get("variant", ""))[:40],
        "run_id": run_id or _run_id(manifest) or logged or None,
        "size": sum(file.size for file in bundle.files),
        "evidence": evidence,
        "corpora": [str(c.get("dvc_hash"))[:64] for c in corpora_of(manifest)][:NAMED_CORPORA],
        **_where(source, run_id),
        **({"service": service} if service else {}),
    }
    if report is not None:
        if report.total is not None:
            body["total"] = [report.total.k, report.total.n]
        if report.false_accept is not None:
            body["false_accept"] = [report.false_accept.k, report.false_accept.n]
    return _fitted(body)


def _fitted(body: dict[str, Any]) -> dict[str, Any]:
    """The body, short enough for an event: a model with four corpora and all kinds of evidence leaves little room.

    What is cut is convenient here and stands in the evidence too; of four corpora, lineage reads the evidence.
    """
    corpora = body["corpora"]
    shorter = {"variant": "", "corpora": [*corpora[:1], *(each[:12] for each in corpora[1:])], "source": "", "path": ""}
    for name, value in shorter.items():
        cut = name in body and (name != "corpora" or len(corpora) >= NAMED_CORPORA)
        if cut and len(canonical(body)) > MAX_BODY:
            body = body | {name: value}
    return body


def _where(source: str, run_id: str | None) -> dict[str, str]:
    """Where in MLflow a bundle came from, without repeating the run; nothing for a run's folder ``bundle``."""
    run = f"runs:/{run_id}"
    if not source or source == f"{run}/{FOLDER}":
        return {}
    inside = source == run or source.startswith(f"{run}/")
    return {"path": source[len(run) + 1 :] or "."} if inside else {"source": source}


def source_of(registered: dict[str, Any]) -> str | None:
    """The source in MLflow of the bundle that an event registered; None where none is recorded."""
    run_id, path, source = (registered.get(name) for name in ("run_id", "path", "source"))
    if source:
        return str(source)
    if not run_id or path == "":
        return None
    return f"runs:/{run_id}" if path == "." else f"runs:/{run_id}/{path or FOLDER}"


def describe(known: Known, state: State) -> Entry:
    """One entry as a row of the registry."""
    get = known.registered.body.get
    total, false_accept = get("total"), get("false_accept")
    route = state.route
    sha = known.sha
    semvers = tuple(known.semvers)
    return Entry(
        sha=sha,
        semver=semvers[-1] if semvers else None,
        semvers=semvers,
        status=known.status,
        production=route is not None and route.stable.sha == sha,
        arms=tuple([arm.name for arm in route.arms if arm.sha == sha]) if route is not None else (),
        parent_sha=get("parent"),
        variant=get("variant", ""),
        accuracy=total[0] / total[1] if total and total[1] else None,
        total=Count(*total) if total else None,
        false_accept=Count(*false_accept) if false_accept else None,
        corpora=tuple(get("corpora", ())),
        run_id=get("run_id"),
        size_bytes=get("size", 0),
        registered_at=known.registered.time,
        seq=known.registered.seq,
        cost_per_quality=_cost(known),
        gate=str(known.gated.body.get("result", ""))[:_RESULT] or None if known.gated is not None else None,
        verdict=verdict_kind(known.promoted[-1]) if known.promoted else None,
        source=(source_of(known.registered.body) if get("source") or get("path") else None) or msgspec.UNSET,
        service=get("service", msgspec.UNSET),
    )


def _cost(known: Known) -> CostPerQuality | None:
    run = next((e for e in reversed(known.history) if e.kind == "gated" and "cost_per_quality" in e.body), None)
    try:
        return msgspec.convert(run.body["cost_per_quality"], CostPerQuality) if run is not None else None
    except msgspec.ValidationError:
        return None  # a body made by hand; the report that it names still has the figures


def detail(known: Known, state: State, get: Callable[[str], bytes]) -> Detail:
    """One entry with its evidence, read through ``get``, which verifies each digest."""
    body = known.registered.body
    kept = {name: get(digest) for name, digest in body.get("evidence", {}).items()}
    table = msgspec.json.decode(kept["bundle"]) if "bundle" in kept else {}
    return Detail(
        entry=describe(known, state),
        manifest=msgspec.json.decode(kept.get("train_manifest", b"{}")),
        corpus_manifest=msgspec.json.decode(kept.get("corpus_manifest", b"{}")),
        eval_report=read_report(kept["eval_report"]) if "eval_report" in kept else None,
        weights=body.get("weights", ""),
        config_digest=body.get("config", ""),
        config=table.get("config", {}),
        tensors=tuple(msgspec.convert(t, Tensor) for t in table.get("tensors", ())),
        assets=tuple(msgspec.convert(file, File) for file in table.get("assets", ())),
        history=tuple(known.history),
    )


def _report(bundle: Bundle) -> EvalReport | None:
    """The bundle's evaluation report, if it has one."""
    raw = bundle.evidence.get("eval_report.json")
    if raw is None:
        return None
    report = read_report(raw)
    # A report without a SHA is accepted, because a workload writes it without knowing the SHA.
    if report.entry_sha is not None and report.entry_sha != bundle.sha:
        raise BundleRefused(
            f"eval_report.json is about {short(report.entry_sha)}, but this bundle is {short(bundle.sha)}",
            "evaluate this bundle, then register it",
        )
    return report


def _object(bundle: Bundle, name: str) -> dict[str, Any]:
    """A manifest of the bundle; empty if it is missing."""
    raw = bundle.evidence.get(f"{name}.json")
    value = parse_json(raw, what=f"{name}.json") if raw is not None else {}
    if not isinstance(value, dict):
        raise BundleRefused(f"{name}.json is not a JSON object", "write it as an object")
    return value


def corpora_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """The corpora that a training manifest names; entries that are not objects are ignored."""
    corpora = manifest.get("corpora")
    return [c for c in corpora if isinstance(c, dict)] if isinstance(corpora, list) else []


def _run_id(manifest: dict[str, Any]) -> str | None:
    run_id = manifest.get("mlflow_run_id")
    return run_id[:64] if isinstance(run_id, str) else None


def manifest_corpora(detail: Detail) -> list[dict[str, Any]]:
    """The corpora that an entry's training manifest names."""
    return corpora_of(detail.manifest)


def new_evidence(registered: Event, body: dict[str, Any]) -> list[str]:
    """A warning if a bundle comes with other evidence than its registration in force."""
    kept, given = registered.body.get("evidence", {}), body["evidence"]
    differing = sorted(f"{name}.json" for name in given if given[name] != kept.get(name))
    if not differing:
        return []
    return [f"{', '.join(differing)} differs from event #{registered.seq}, which stays in force; nothing was replaced"]
