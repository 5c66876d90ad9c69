# fmt: off
"""Check this pack: `python -I -S verify.py [SEQ:HASH]` in its folder; exit 0 where all of it holds, else 1.
The standard library has no Ed25519: the openssl command of each signature is printed, and is yours to run."""
# ruff: noqa: BLE001, D103, D209, E401, E701, I001, T201
# mypy: ignore-errors
import base64, hashlib, json, struct, sys
from pathlib import Path
HERE, wrong = Path(__file__).resolve().parent, []
FILES = {p.relative_to(HERE).as_posix(): p.read_bytes() for p in HERE.rglob("*") if p.is_file()}
def must(holds, what): wrong.extend([] if holds else [what])
def sha(name, data=None): return hashlib.sha256(FILES.get(name, b"") if data is None else data).hexdigest()
def framed(tag, *parts):
    return hashlib.sha256(tag + b"\0" + b"".join(struct.pack("<Q", len(p)) + p for p in parts)).digest()
def identity(body, table):
    parts = sorted((t["name"].encode(), t["dtype"].encode(), t["shape"], t["data_sha256"]) for t in table["tensors"])
    rows = [framed(b"spine.tensor/1", n, d, struct.pack(f"<{len(s)}Q", *s), bytes.fromhex(x)) for n, d, s, x in parts]
    weights, parent = framed(b"spine.weights/1", *rows), bytes.fromhex(body["parent"] or "")
    files = sorted((f["name"].encode(), bytes.fromhex(f["sha256"])) for f in table.get("assets", []))
    assets = [framed(b"spine.assets/1", *(framed(b"spine.asset/1", *f) for f in files))] if files else []
    entry = framed(b"spine.entry/%d" % (1 + len(assets)), weights, bytes.fromhex(body["config"]), *assets, parent)
    must([entry.hex(), weights.hex()] == [body["sha"], body["weights"]], f"{body['sha']}: its tensors make another")
def verdict(name, body, hashes, keys):
    box = json.loads(FILES[f"evidence/{body['verdict']['digest']}"])
    kind, payload, mark = box["payloadType"].encode(), base64.b64decode(box["payload"]), box["signatures"][0]
    about, said = (json.loads(payload)[name] for name in ("subject", "predicate"))
    subject, head = about[0]["digest"]["sha256"], said["ledger"]
    must([subject, said["result"]] == [body["sha"], "pass"], f"{name}: the verdict is no pass of {body['sha']}")
    must(hashes.get(head["seq"], head["hash"]) == head["hash"], f"{name}: the verdict is of another ledger")
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = b"".join(base64.b64decode(k["public"]) for k in keys if k["id"] == mark["keyid"])
    pem = base64.b64decode(FILES[f"{name}.pem"].split(b"\n")[1])[-32:]
    told = [FILES[f"{name}.pae"], FILES[f"{name}.sig"], pem]
    must(told == [signed, base64.b64decode(mark["sig"]), key], f"{name}: .pae, .sig or .pem is not the verdict's")
    print(f"not checked: openssl pkeyutl -verify -pubin -inkey {name}.pem -rawin -in {name}.pae -sigfile {name}.sig")
def check(pack, trace, walk, trust):
    listed = {line[66:]: line[:64] for line in FILES["SHA256SUMS"].decode().splitlines()}
    for name in (listed.keys() | FILES.keys()) - {"SHA256SUMS"}:
        must(listed.get(name) == sha(name), f"{name} is not what SHA256SUMS lists")
    events, hashes, before = {}, {}, pack["before"]
    for seq, line in enumerate(FILES["ledger.jsonl"].splitlines(), pack["from"]):
        events[seq], hashes[seq] = (event := json.loads(line)), sha("", line)
        must([event["seq"], event["prev"]] == [seq, hashes.get(seq - 1, before)], f"event #{seq} does not follow")
    for seq, digest in (head.split(":") for head in [pack["ledger"], *sys.argv[1:]]):
        must(hashes.get(int(seq)) == digest, f"the ledger does not hold {seq}:{digest}")
    for body in (e["body"] for e in events.values() if e["body"].get("sha") in pack["entries"]):
        for digest in (body.get("verdict") or {}).get("digest"), *body.get("evidence", {}).values():
            must(digest is None or sha(f"evidence/{digest}") == digest, f"evidence/{digest} is not what was named")
        if "bundle" in body.get("evidence", {}):
            identity(body, json.loads(FILES[f"evidence/{body['evidence']['bundle']}"]))
        if (body.get("verdict") or {}).get("signed"):
            verdict(f"signatures/{body['verdict']['digest']}", body, hashes, trust["keys"])
    where = trace["assignment"]
    arms = [a["sha"] for a in events[where["epoch"]]["body"]["arms"] if a["name"] == where["arm"]]
    must([trace["intended_sha"]] == arms, "the trace's arm is not the ledger's")
    told = [trace["request_id"], walk["request_id"], trace["entry_sha"]]
    must(told == [pack["request_id"], pack["request_id"], pack["entries"][0]], "trace, walk and pack disagree")
try: check(*(json.loads(FILES[f"{name}.json"]) for name in ("pack", "trace", "walk", "trust")))
except Exception as error: must(False, f"the pack cannot be read: {type(error).__name__}: {error}")
print("\n".join(f"WRONG: {line}" for line in wrong) or f"all holds; SHA256SUMS is {sha('SHA256SUMS')}")
sys.exit(bool(wrong))
