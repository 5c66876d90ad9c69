"""What a model registry does, from a ``.spine`` folder. It only reads, and refuses no hostile files as Spine does."""

import argparse
import json
import re
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import rfc8785


def framed(tag: str, *parts: bytes) -> bytes:
    """SHA-256 of a tag and parts, each after its length: ("ab", "c") and ("a", "bc") must not hash alike."""
    return sha256(tag.encode() + b"\0" + b"".join(len(part).to_bytes(8, "little") + part for part in parts)).digest()


def tensor_digests(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The digest of each tensor in a safetensors file: a u64 length, a JSON header of that length, then the data."""
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    header.pop("__metadata__", None)  # notes of the program that saved the file; no model reads them
    for name, slot in header.items():
        begin, end = (start + offset for offset in slot["data_offsets"])
        dims, data = b"".join(n.to_bytes(8, "little") for n in slot["shape"]), sha256(raw[begin:end]).digest()
        yield name, framed("spine.tensor/1", name.encode(), slot["dtype"].encode(), dims, data)


def canonical_sha(bundle: Path) -> str:
    """(a) The name of a model: one digest over all that decides its answers, whatever the layout of its tensors."""
    files = {path.relative_to(bundle).as_posix(): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    names = "config.json", "tokenizer.json", "train_manifest.json", "corpus_manifest.json", "eval_report.json"
    config, tokenizer, manifest = (json.loads(files.get(name, b"null")) for name in names[:3])
    layout = {n for n in files if n.endswith((".safetensors", ".safetensors.index.json")) and "/" not in n}
    tensors = [each for name in layout if name.endswith("s") for each in tensor_digests(files[name])]
    weights = framed("spine.weights/1", *(digest for _name, digest in sorted(tensors)))
    words = None if tokenizer is None else sha256(rfc8785.dumps(tokenizer)).hexdigest()
    settings = sha256(rfc8785.dumps({"config": config, "tokenizer": words})).digest()
    by_product = (  # lies beside a model, decides no answer and is never stored
        r"(README|LICENSE)[^/]*|\.gitattributes|(optimizer|scheduler|scaler)\.pt|(optimizer|training_args)\.bin"
        r"|trainer_state\.json|rng_state[^/]*\.pth|(.*/)?(\.git|\.cache|__pycache__)/.*"
    )
    rest = sorted(name for name in files.keys() - layout - {*names} if not re.fullmatch(by_product, name))
    if not rest and (not tensors or config is None):
        raise ValueError(f"{bundle} is not a bundle: it has no tensors or no config.json")
    further = [framed("spine.asset/1", name.encode(), sha256(files[name]).digest()) for name in rest]
    assets = [framed("spine.assets/1", *further)] if further else []
    parent = bytes.fromhex((manifest or {}).get("parent_sha") or "")  # an adapter is nothing without its parent
    return framed(f"spine.entry/{1 + len(assets)}", weights, settings, *assets, parent).hex()


def checked_events(ledger: sqlite3.Connection) -> list[dict[str, Any]]:
    """(b) Every event in order; ValueError where one was changed, removed or inserted."""
    events: list[dict[str, Any]] = []
    previous = "0" * 64  # only a copy of the newest hash, kept elsewhere, shows that all was rewritten or the end cut
    for seq, raw, stored in ledger.execute("SELECT seq, CAST(event AS BLOB), hash FROM events ORDER BY seq"):
        event = json.loads(raw) if sha256(raw).hexdigest() == stored else {}
        if event.get("prev") != previous or not event["seq"] == seq == len(events) + 1:
            raise ValueError(f"the hash chain is broken at event #{seq}")
        events.append(event)
        previous = stored
    return events


def fold(events: list[dict[str, Any]]) -> dict[str, Any]:
    """(c) What is true after these events. No table of current values exists that could disagree with the history."""
    state: Any = {"route": None, "production": None} | {n: {} for n in ("entries", "semvers", "held", "tombstoned")}
    for event in events:
        kind, body = event["kind"], event["body"]
        if kind == "registered":
            first = state["entries"].setdefault(body["sha"], body)
            had, has = first.get("evidence", {}), body.get("evidence", {})
            same_run = first.get("run_id") in (None, body.get("run_id"))  # may add a report, replaces nothing
            if "eval_report" in has and "eval_report" not in had and had.items() <= has.items() and same_run:
                state["entries"][body["sha"]] = body
        elif kind == "promoted":
            state["semvers"][body["semver"]] = body["sha"]
        elif kind in ("routed", "rolled_back"):
            state["route"] = {"strategy": body["strategy"], "epoch": event["seq"], "arms": body["arms"]}
            state["production"] = body["arms"][0]["sha"]  # the first arm is the stable one
        elif kind in ("held", "tombstoned"):
            state[kind][body["sha"]] = body.get("reason", "")
        elif kind == "released":
            state["held"].pop(body["sha"], None)
    return state


def blocked_buckets(report: dict[str, Any], baseline: dict[str, Any]) -> list[str]:
    """(d) The buckets in which a candidate lost more than the tolerance (2 percentage points) against a baseline.

    An empty list is not a pass: the product also blocks on false accepts, the anchor, never-regress items, the stable
    entry and the floor. ValueError where the two were not measured on the same items.
    """
    # k_base/n - k_cand/n > tolerance/100 in integers: in floating point, a loss of exactly 2 points often exceeds 2.
    sizes, other = ({name: count["n"] for name, count in each["buckets"].items()} for each in (report, baseline))
    moved = any(report["eval_set"][part] != baseline["eval_set"][part] for part in ("sha256", "dvc_hash", "n"))
    if moved or sizes != other or report["decoding"] != baseline["decoding"]:
        raise ValueError("the report and the baseline differ in eval set, decoding or buckets")
    lost = {name: base["k"] - report["buckets"][name]["k"] for name, base in baseline["buckets"].items()}
    return sorted(name for name, k in lost.items() if 100 * k > baseline.get("tolerance_pp", 2) * sizes[name])


def evidence(ledger: sqlite3.Connection, entries: dict[str, Any], sha: str, name: str) -> dict[str, Any]:
    """A document that was registered with an entry: the event holds its digest, so it is hashed before it is used."""
    digest = entries.get(sha, {}).get("evidence", {}).get(name)
    row = ledger.execute("SELECT CAST(body AS BLOB) FROM evidence WHERE digest = ?", (digest,)).fetchone()
    if row is None or sha256(row[0]).hexdigest() != digest:
        raise ValueError(f"the ledger has no unchanged {name} of an entry with the full SHA {sha!r}")
    return json.loads(row[0])


def follow(request_id: str, home: Path, ledger: sqlite3.Connection, entries: dict[str, Any]) -> dict[str, Any]:
    """(e) From one request to the data behind its answer: trace, model, re-hashed bytes, training manifest, corpora."""
    traces = sqlite3.connect((home / "traces.db").resolve().as_uri() + "?mode=ro", uri=True)
    row = traces.execute("SELECT entry_sha FROM requests WHERE request_id = ?", (request_id,)).fetchone()
    if row is None:
        raise ValueError(f"no trace has the request id {request_id!r}")
    if canonical_sha(home / "cache" / row[0]) != row[0]:  # the name is recorded; only a new hash proves the bytes
        raise ValueError(f"the cached bundle of {row[0][:12]} does not have that SHA any more")
    manifest = evidence(ledger, entries, row[0], "train_manifest")
    return {"model": row[0], "corpora": [corpus["dvc_hash"] for corpus in manifest.get("corpora", [])]}


def main() -> None:
    """Print, as one JSON object, what the ledger says and what was asked for."""
    parser = argparse.ArgumentParser(description="The rules of a model registry, applied to a project's .spine folder.")
    parser.add_argument("project", type=Path)
    parser.add_argument("--bundle", type=Path, help="a trusted folder, whose canonical SHA to compute")
    parser.add_argument("--gate", metavar="SHA", help="full SHA of an entry to compare with eval_baseline.json")
    parser.add_argument("--request", metavar="ID", help="follow this request to the corpora behind its answer")
    args = parser.parse_args()
    home = args.project / ".spine"
    ledger = sqlite3.connect((home / "ledger.db").resolve().as_uri() + "?mode=ro", uri=True)  # ro: creates no file
    state = fold(checked_events(ledger))
    found: dict[str, Any] = {"state": state, "sha": canonical_sha(args.bundle) if args.bundle else None}
    if args.gate:
        baseline = json.loads((args.project / "eval_baseline.json").read_bytes())
        found["blocked"] = blocked_buckets(evidence(ledger, state["entries"], args.gate, "eval_report"), baseline)
    if args.request:
        found["request"] = follow(args.request, home, ledger, state["entries"])
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, sqlite3.Error) as error:
        raise SystemExit(f"error: {error}") from None
