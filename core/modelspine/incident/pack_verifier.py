# fmt: off
"""Check this pack: `python -I -S verify.py [SEQ:HASH] [--list SHA256]` in its folder; exit 0 where nothing is wrong.
SEQ:HASH is a ledger head and SHA256 the digest of SHA256SUMS, both kept outside of this pack; use a verify.py of your
own. The standard library has no Ed25519: the openssl command of each signature is printed, and is yours to run."""
# ruff: noqa: BLE001, D103, D209, E401, E701, E702, I001, T201
# mypy: ignore-errors
import base64, hashlib, json, struct, sys, time
from pathlib import Path
HERE, wrong, unseen = Path(__file__).resolve().parent, [], []
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
    """Check a signed verdict but for its signature; returns what an answer about it must say."""
    box = json.loads(FILES[f"evidence/{body['verdict']['digest']}"])
    kind, payload, mark = box["payloadType"].encode(), base64.b64decode(box["payload"]), box["signatures"][0]
    about, said = (json.loads(payload)[name] for name in ("subject", "predicate"))
    subject, head = about[0]["digest"]["sha256"], said["ledger"]
    must([subject, said["result"]] == [body["sha"], "pass"], f"{name}: the verdict is no pass of {body['sha']}")
    must(hashes.get(head["seq"], head["hash"]) == head["hash"], f"{name}: the verdict is of another ledger")
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = b"".join(base64.b64decode(k["public"]) for k in keys if k["id"] == mark["keyid"])
    must([mark["keyid"], sha("", key)[:16]] == [body["verdict"]["key"]] * 2, f"{name}: the ledger names another key")
    pem = base64.b64decode(FILES[f"{name}.pem"].split(b"\n")[1])[-32:]
    told = [FILES[f"{name}.pae"], FILES[f"{name}.sig"], pem]
    must(told == [signed, base64.b64decode(mark["sig"]), key], f"{name}: .pae, .sig or .pem is not the verdict's")
    unseen.append(f"openssl pkeyutl -verify -pubin -inkey {name}.pem -rawin -in {name}.pae -sigfile {name}.sig")
    return [f"passed in run {said['run']['id']}", f"({mark['keyid']})", f"ledger #{head['seq']} {head['hash'][:12]}"]
def rows(e, corpus, used):
    """Whether an answer about rows follows from those in the pack, and how its text must begin."""
    own, others = ([c for c in corpus if c["trained_on"] is k and "missing" not in c] for k in (True, False))
    k, n = sum(c["matched"] for c in own), sum(c["rows"] for c in own)
    shown = {(row["number"], row["text"]) for c in own for row in c["shown"]}
    ok = [e["matched"], e["rows"]] == [k, n] and [c["dvc_hash"] for c in own] == [*{c["dvc_hash"]: 1 for c in used}]
    ok &= all(c["sha256"] in {m.get("sha256") or c["sha256"] for m in used} for c in own)
    ok &= "against" in e or {(row["row"], row["text"]) for row in e["quoted"]} <= shown
    elsewhere = {x["dvc_hash"]: [x["matched"], x["rows"]] for x in e["elsewhere"]}
    ok &= all(elsewhere[c["dvc_hash"]] == [c["matched"], c["rows"]] for c in others)
    return ok, f"{k} of {n:,} rows contain "
def answers(walk, trace, corpus, events, signed):
    """Check each answer against the ledger's events, the evidence that they name, and the trace."""
    says, who, semver = {a["n"]: a for a in walk["answers"]}, trace["entry_sha"], trace["semver"]
    put = trace["assignment"]
    must([*says] == [*range(1, 9)] and walk["trace"] == trace, "walk.json has other answers, or another trace")
    def check(n, holds, *parts):
        text = says[n]["answer"]
        must(holds and all(p in text for p in parts), f"answer {n} does not follow from the evidence: {text!a:.160}")
    def told(n): return says[n]["evidence"] if says[n]["status"] in ("verified", "recorded") else None
    mine = [e for e in events.values() if e["body"].get("sha") == who]
    registered = [e for e in mine if e["kind"] == "registered"]
    named = registered[-1]["body"]["evidence"]
    used = json.loads(FILES.get(f"evidence/{named.get('train_manifest')}", b"{}")).get("corpora") or []
    hashes = [c["dvc_hash"] for c in used]
    if e := told(1):
        ok = [e["sha"], e["semver"]] == [who, semver] and e["registered"] in [f"#{r['seq']}" for r in registered]
        ok &= e.get("answered", trace["correction"]) == trace["correction"] and says[1]["answer"].startswith(who[:12])
        check(1, ok and ("same answer" not in says[1]["answer"] or e["answers_now"] == e["answered"]), f"  {semver}  ")
    if (e := told(2)) and "event" in e:
        day, made = time.strftime("%Y-%m-%d", time.gmtime(trace["started_ns"] // 10**9)), events[int(e["event"][1:])]
        ok = [made["kind"], made["body"]["day"], e["day"]] == ["drift_reported", day, day]
        check(2, ok and made["body"]["evidence"]["report"] == e["report"], day, e["event"])
    if e := told(3):
        check(3, used and [c["dvc_hash"] for c in e["corpora"]] == hashes, *(f"md5 {h[:12]}" for h in hashes))
    if e := told(4):
        ok, start = rows(e, corpus, used)
        check(4, ok and says[4]["answer"].startswith(start))
    must(told(4) or not corpus, "corpus.json has rows that no answer speaks of")
    if e := told(5):
        report = json.loads(FILES[f"evidence/{named['eval_report']}"])
        k = {name: {i: report["buckets"].get(name, report["total"])[i] for i in "kn"} for name in e["buckets"]}
        line = "  ".join(f"{name} {c['k']}/{c['n']} = {100 * c['k'] / c['n']:.1f} %" for name, c in k.items() if c["n"])
        ok = [e["buckets"], says[5]["answer"]] == [k, line]
        check(5, ok and report["eval_set"].items() <= e["eval_set"].items())
    if e := told(6):
        (arm,) = (a for a in events[put["epoch"]]["body"]["arms"] if a["name"] == put["arm"])
        share = "" if trace["shadow_of"] or put["tester"] else f", {arm['weight_bp'] / 100:g} %, "
        u = sha("", f"{put['salt']}|{put['unit']}".encode("utf-8", "surrogatepass"))[:16]
        ok = put["unit"] is None or [put["u"], put["bucket"]] == [u, int(u, 16) * 10_000 >> 64]
        where = f"epoch {put['epoch']}, bucket {put['bucket']:,}"
        check(6, ok and e == put and arm["sha"] == who, f"{put['arm']}, ", share, where)
    made = next((p for p in mine if p["kind"] == "promoted" and p["body"]["semver"] == semver), None)
    e, claim = says[7]["evidence"], says[7]["status"] == "verified" or "signed by" in says[7]["answer"]
    if told(7) or claim or "promoted" in e:
        body = made["body"]
        ok = [e["promoted"]["seq"], e["promoted"]["reason"]] == [made["seq"], body.get("reason")]
        ok &= e["verdict"] == (body.get("verdict") or {}) and (not claim or made["seq"] in signed)
        check(7, ok, *(signed[made["seq"]] if claim and made["seq"] in signed else ()))
    if (e := told(8)) and "entries" in e:
        known = {(p["body"]["sha"], p["body"]["semver"]) for p in events.values() if p["kind"] == "promoted"}
        ok = all((x["sha"], x["semver"]) in known for x in e["entries"])
        ok &= e["go_to"] in [None, *(x["sha"] for x in e["entries"])]
        check(8, ok and walk["suggestion"] == e["suggestion"])
    unseen.extend(f"answer {n}: it names nothing that it follows from" for n in says if not told(n))
    return [f"{n} {a['status']}: {a['answer']!a:.300}" for n, a in says.items()]
def check(pack, trace, walk, trust, corpus, heads, digest):
    """Check everything that can be; returns the answers as they may be printed."""
    listed = {line[66:]: line[:64] for line in FILES["SHA256SUMS"].decode().splitlines()}
    for name in (listed.keys() | FILES.keys()) - {"SHA256SUMS"}:
        must(listed.get(name) == sha(name), f"{name} is not what SHA256SUMS lists")
    must(digest in (None, sha("SHA256SUMS")), f"SHA256SUMS is {sha('SHA256SUMS')}, and not {digest!a}")
    events, hashes, before = {}, {}, pack["before"]
    for seq, line in enumerate(FILES["ledger.jsonl"].splitlines(), pack["from"]):
        events[seq], hashes[seq] = (event := json.loads(line)), sha("", line)
        must([event["seq"], event["prev"]] == [seq, hashes.get(seq - 1, before)], f"event #{seq} does not follow")
    for seq, digest in (head.split(":") for head in [pack["ledger"], *heads]):
        must(hashes.get(int(seq)) == digest, f"the ledger does not hold {seq}:{digest}")
    signed, parents = {}, {}
    for event in (e for e in events.values() if e["body"].get("sha") in pack["entries"]):
        body = event["body"]
        for digest in (body.get("verdict") or {}).get("digest"), *body.get("evidence", {}).values():
            must(digest is None or sha(f"evidence/{digest}") == digest, f"evidence/{digest} is not what was named")
        if event["kind"] == "registered":
            parents[body["sha"]] = body["parent"]
            identity(body, json.loads(FILES[f"evidence/{body['evidence']['bundle']}"]))
        if (body.get("verdict") or {}).get("signed"):
            found = verdict(f"signatures/{body['verdict']['digest']}", body, hashes, trust["keys"])
            signed[event["seq"]] = [*found, f"promoted at #{event['seq']}"]
    line = []
    for start in (trace["entry_sha"], walk["answers"][7]["evidence"].get("go_to")):
        entry = start
        while entry and entry not in line:
            line.append(entry)
            entry = parents.get(entry)
    must(pack["entries"] == line, "pack.json names other entries than those of the walk and their parents")
    must(trace["entry_sha"] in parents, f"the ledger has no entry {trace['entry_sha']}")
    where = trace["assignment"]
    arms = [a["sha"] for a in events[where["epoch"]]["body"]["arms"] if a["name"] == where["arm"]]
    must([trace["intended_sha"]] == arms, "the trace's arm is not the ledger's")
    told = [trace["request_id"], walk["request_id"], trace["entry_sha"]]
    must(told == [pack["request_id"], pack["request_id"], pack["entries"][0]], "trace, walk and pack disagree")
    return answers(walk, trace, corpus, events, signed)
def main(words):
    at, digest, shown = words.index("--list") if "--list" in words else None, None, []
    if at is not None: digest = (words[at + 1:] or [""])[0]; del words[at:at + 2]
    files = (json.loads(FILES[f"{name}.json"]) for name in ("pack", "trace", "walk", "trust", "corpus"))
    try: shown = check(*files, words, digest)
    except Exception as error: must(False, f"the pack cannot be read: {type(error).__name__}: {error!a}")
    print("\n".join(f"WRONG: {line}" for line in wrong) or "\n".join(shown))
    if digest is None: unseen.append("SHA256SUMS against a digest kept elsewhere (--list): texts may be forged")
    if not words: unseen.append("the ledger against a head kept elsewhere (SEQ:HASH): all of it may be forged")
    unseen.append("trust.json against the committed one, the corpora, what a model answers now, wording, walk.md")
    print("\n".join(f"not checked: {line}" for line in unseen))
    print(f"{'WRONG' if wrong else 'nothing is wrong'}; SHA256SUMS is {sha('SHA256SUMS')}")
    return bool(wrong)
sys.exit(main(sys.argv[1:]))
