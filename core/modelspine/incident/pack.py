"""The incident pack: a zip with a walk and all bytes its claims rest on, for independent verification.

It contains the stored ledger lines up to the newest event, the evidence they name for the entries involved, signed
verdicts as files that openssl accepts, the matching corpus rows, and ``verify.py``, which needs only Python.
If the text policy keeps no text, the pack has none of the learner's. It does not know how a walk is made or drawn.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from miniobserve.traces import Trace
from modelspine.attestation.dsse import Envelope, pae
from modelspine.attestation.keys import SCHEMA as TRUST
from modelspine.attestation.keys import from_base64, read_trust
from modelspine.errors import BadInput, Refused, SpineError, UnknownRef
from modelspine.files import OWNER, replacing
from modelspine.incident.finding import Finding
from modelspine.incident.walk import Walk
from modelspine.ledger.state import State
from modelspine.ledger.store import GENESIS, Event
from modelspine.project import Project
from modelspine.recording.placing import CONTRADICTS, contradiction_of
from modelspine.registry.claims import CLAIM, claim_seq
from modelspine.registry.entries import manifest_corpora
from modelspine.text import visible
from modelspine.words import words

SCHEMA = "spine.pack/1"
WHOLE = 20_000
"""A ledger of at most this many events is included whole; a longer one from the first event about the incident."""
_ROWS = 200
"""Matching corpus rows quoted per corpus; all matches are counted."""
_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip can hold. It is fixed so that the same content gives the same bytes."""
_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""The DER header (RFC 8410) before the 32 bytes of an Ed25519 public key."""


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """A written pack."""

    path: str
    files: int
    size: int
    sums_sha256: str
    """SHA-256 of the file ``SHA256SUMS``; the verifier prints the same value."""
    ledger: str


def without_text(trace: Trace) -> Trace:
    """Remove the learner's text and identity from a trace."""
    assignment = trace.assignment
    if assignment.sticky:  # a sticky unit is the learner's hash; otherwise it is the request's own id
        assignment = msgspec.structs.replace(assignment, unit=None)
    return msgspec.structs.replace(
        trace,
        input=None,
        output=None,
        embedding=None,
        error="",  # it may quote the sentence
        assignment=assignment,
        values={name: value for name, value in trace.values.items() if not isinstance(value, list)},  # its tokens
        fields={name: value for name, value in trace.fields.items() if _is_number(value)} | _told(trace),
    )


def _told(trace: Trace) -> dict[str, str]:
    """What answers 1 and 6 rest on: the claim of the model's name, and what contradicts the ledger about the arm."""
    wrong, claim = contradiction_of(trace), claim_seq(trace)
    return ({CONTRADICTS: wrong} if wrong else {}) | ({CLAIM: f"#{claim}"} if claim is not None else {})


def _is_number(value: object) -> bool:
    """Whether a field of an answer is a number, or a table of numbers such as the probabilities of classes."""
    if isinstance(value, dict):
        return all(isinstance(one, (int, float)) for one in value.values())
    return isinstance(value, (bool, int, float))


def pack(project: Project, walk: Walk, page: str, path: Path) -> Packed:
    """Write the pack of a walk, replacing an existing file only once the new one is complete.

    Args:
        project: where ledger, evidence and corpora are read.
        walk: the walk, packed unchanged; under a text policy that keeps no text, walk ``without_text(trace)``.
        page: the walk as Markdown.
        path: the zip to write.

    Raises:
        Refused: the walk has text that the policy does not keep.
        Damaged: a piece of evidence does not match its digest.
        BadInput: the folder of ``path`` does not exist.
    """
    policy = project.settings.text_policy
    if policy != "full" and walk.trace != without_text(walk.trace):
        raise Refused(
            f"the text policy is {policy}, but this walk contains the {words().input}",
            "walk the trace without its text",
        )
    state = project.registry.state()
    entries = list(dict.fromkeys(_entries(walk, state)))
    events = project.registry.events()
    lines, first = _lines(project, walk, events, entries)
    head = events[-1]
    about = {
        "schema": SCHEMA,
        "request_id": walk.request_id,
        "entries": entries,
        "text_policy": policy,
        "ledger": f"{head.seq}:{head.hash}",
        "from": first,
        "before": events[first - 1].prev if events else GENESIS,
    }
    files = {
        "verify.py": Path(__file__).with_name("pack_verifier.py").read_bytes(),
        "pack.json": _json(about),
        "ledger.jsonl": lines,
        "trace.json": _json(walk.trace),
        # `right` follows from the answer, the label and the workload's rule, and the verifier does not know the rule.
        "walk.json": _json({name: one for name, one in msgspec.to_builtins(walk).items() if name != "right"}),
        "walk.md": page.encode(),
        "corpus.json": _json(list(_corpora(project, walk))),
        "trust.json": _trust(project),
        **_evidence(project, state, entries),
        **_drift_report(project, walk),
    }
    files |= _signatures(files, [e for sha in entries if sha in state.entries for e in state.entries[sha].promoted])
    sums = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(files.items())).encode()
    files["SHA256SUMS"] = sums
    return Packed(
        path=str(path),
        files=len(files),
        size=_zip(files, path),
        sums_sha256=hashlib.sha256(sums).hexdigest(),
        ledger=f"{head.seq}:{head.hash}",
    )


def _entries(walk: Walk, state: State) -> Iterator[str]:
    """The entry that answered and the suggested one, each followed by its parents; may repeat."""
    for start in (walk.trace.entry_sha, walk.answers[7].evidence.get("go_to")):
        sha = start
        while sha:
            yield str(sha)
            known = state.entries.get(str(sha))
            sha = known.registered.body.get("parent") if known is not None else None


def _lines(project: Project, walk: Walk, events: list[Event], entries: list[str]) -> tuple[bytes, int]:
    """The stored ledger lines to include, and the seq of the first of them."""
    first = 1
    if len(events) > WHOLE:
        named = (f"#{walk.trace.assignment.epoch}", walk.answers[1].evidence.get("event"))
        relevant = [e.seq for e in events if f"#{e.seq}" in named or e.body.get("sha") in entries]
        first = min(relevant, default=1)
    # Another process may have appended since ``events`` was read; the pack ends where ``events`` does.
    lines = project.ledger.lines(first)[: len(events) - first + 1]
    return b"".join(line + b"\n" for line in lines), first


def _evidence(project: Project, state: State, entries: list[str]) -> dict[str, bytes]:
    """The evidence files that ledger events name for these entries."""
    digests: dict[str, None] = {}
    for known in (state.entries[sha] for sha in entries if sha in state.entries):
        for event in known.history:
            if event.body.get("sha") == known.sha:
                verdict = event.body.get("verdict") or {}
                digests |= dict.fromkeys(event.body.get("evidence", {}).values())
                digests |= {str(verdict["digest"]): None} if verdict.get("signed") else {}
    return {f"evidence/{digest}": project.ledger.get(digest) for digest in digests}


def _drift_report(project: Project, walk: Walk) -> dict[str, bytes]:
    """The drift report that answer 2 quotes, if it is one that the ledger names."""
    evidence = walk.answers[1].evidence
    digest = evidence.get("report") if "event" in evidence else None
    return {f"evidence/{digest}": project.ledger.get(str(digest))} if digest else {}


def _signatures(files: Mapping[str, bytes], promoted: list[Event]) -> dict[str, bytes]:
    """For each signed verdict, the three files that ``openssl pkeyutl -verify`` needs."""
    signatures: dict[str, bytes] = {}
    trust = read_trust(files["trust.json"])
    for verdict in (event.body.get("verdict") or {} for event in promoted):
        raw = files.get(f"evidence/{verdict.get('digest')}")
        if raw is None or not verdict.get("signed"):
            continue
        envelope = msgspec.json.decode(raw, type=Envelope)
        key = trust.find(envelope.signatures[0].keyid)
        der = _DER_PREFIX + from_base64(key.public) if key is not None else b""
        name = f"signatures/{verdict['digest']}"
        pem = f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"
        signatures[f"{name}.pem"] = pem.encode()
        signatures[f"{name}.pae"] = pae(envelope.payload_type, from_base64(envelope.payload))
        signatures[f"{name}.sig"] = from_base64(envelope.signatures[0].sig)
    return signatures


def _trust(project: Project) -> bytes:
    file = project.settings.trust
    return file.read_bytes() if file.is_file() else _json({"schema": TRUST, "keys": []})


def _corpora(project: Project, walk: Walk) -> Iterator[dict[str, Any]]:
    """Search every corpus that answer 4 names, hashing each, and yield its matching rows."""
    found: Finding = walk.answers[3]
    pattern = found.evidence.get("pattern")
    if pattern is None:
        return
    try:
        named = manifest_corpora(project.registry.get(walk.trace.entry_sha))
    except UnknownRef:
        named = []
    own = {str(corpus.get("dvc_hash")): str(corpus.get("path", "")) for corpus in named}
    others = {str(other["dvc_hash"]): str(other["path"]) for other in found.evidence.get("elsewhere", ())}
    for dvc_hash, path in {**own, **others, **own}.items():
        about = {"dvc_hash": dvc_hash, "trained_on": dvc_hash in own}
        try:
            search = project.corpora.search(dvc_hash, pattern, limit=_ROWS, path=path)
        except SpineError as error:
            yield about | {"missing": error.message}
            continue
        about |= {"path": project.corpora.resolve(dvc_hash, path).path, **msgspec.to_builtins(search)}
        # The rows that teach the wrong answer are other ones, and are searched in the entry's own corpora alone.
        if (against := found.evidence.get("against")) is not None and dvc_hash in own:
            rows = project.corpora.search(dvc_hash, against["pattern"], limit=_ROWS, path=path)
            about |= {"against": msgspec.to_builtins(rows)}
        yield about


def _json(value: Any) -> bytes:
    return json.dumps(msgspec.to_builtins(value), indent=1, ensure_ascii=True).encode() + b"\n"


def _zip(files: Mapping[str, bytes], path: Path) -> int:
    """Write a reproducible zip, whose bytes depend only on the files in it; returns its size."""
    if not path.absolute().parent.is_dir():
        raise BadInput(f"there is no folder {visible(str(path.parent), 160)}", "create it, then repeat the command")
    with replacing(path, mode=OWNER) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in sorted(files.items()):
            info = zipfile.ZipInfo(name, _TIME)
            info.external_attr, info.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, body)
    return path.stat().st_size
