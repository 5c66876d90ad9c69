# fmt: off
"""Check this pack: `python -I -S verify.py [SEQ:HASH] [--list SHA256]` in its folder; exit 0 where nothing is wrong.
SEQ:HASH is a ledger head and SHA256 the digest of SHA256SUMS, both kept outside of this pack; use a verify.py of your
own. The standard library has no Ed25519: the openssl command of each signature is printed, and is yours to run.
What is printed of an answer is made from the evidence here; the wording of the walk is not checked, nor printed."""
# ruff: noqa: BLE001, D102, D103, D204, D209, E401, E701, E702, I001, PLW2901, RET503, T201
# mypy: ignore-errors
import base64, calendar, hashlib, json, re, struct, sys, time
from pathlib import Path
HERE, wrong, unseen = Path(__file__).resolve().parent, [], []
FILES = {p.relative_to(HERE).as_posix(): p.read_bytes() for p in HERE.rglob("*") if p.is_file()}
def must(holds, what): wrong.extend([] if holds else [what])
def once(pairs):
    if len(dict(pairs)) != len(pairs): raise ValueError(f"a key is repeated: {[name for name, _ in pairs]}")
    return dict(pairs)
def read(raw): return json.loads(raw, object_pairs_hook=once)
def sha(name, data=None): return hashlib.sha256(FILES.get(name, b"") if data is None else data).hexdigest()
def evidence(digest):
    if not re.fullmatch("[0-9a-f]{64}", str(digest)): raise ValueError(f"{digest!a} is no digest")
    must(sha(f"evidence/{digest}") == digest, f"evidence/{digest} is not what was named")
    return FILES.get(f"evidence/{digest}", b"")
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
def verdict(name, seq, body, hashes, trust):
    """Check a signed verdict but for its signature; returns what an answer about it says, and its evidence."""
    box = read(evidence(body["verdict"]["digest"]))
    kind, payload, mark = box["payloadType"].encode(), base64.b64decode(box["payload"]), box["signatures"][0]
    about, said = (read(payload)[name] for name in ("subject", "predicate"))
    subject, head = about[0]["digest"]["sha256"], said["ledger"]
    must([subject, said["result"]] == [body["sha"], "pass"], f"{name}: the verdict is no pass of {body['sha']}")
    must(hashes.get(head["seq"], head["hash"]) == head["hash"], f"{name}: the verdict is of another ledger")
    must(head["seq"] < seq, f"{name}: the verdict is younger than the promotion")
    if head["seq"] not in hashes: unseen.append(f"{name}: event #{head['seq']}, on which it was decided, is not here")
    signed = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    key = b"".join(base64.b64decode(k["public"], validate=True) for k in trust["keys"] if k["id"] == mark["keyid"])
    must([mark["keyid"], sha("", key)[:16]] == [body["verdict"]["key"]] * 2, f"{name}: the ledger names another key")
    pem = base64.b64decode(FILES[f"{name}.pem"].split(b"\n")[1])[-32:]
    told = [FILES[f"{name}.pae"], FILES[f"{name}.sig"], pem]
    must(told == [signed, base64.b64decode(mark["sig"]), key], f"{name}: .pae, .sig or .pem is not the verdict's")
    unseen.append(f"openssl pkeyutl -verify -pubin -inkey {name}.pem -rawin -in {name}.pae -sigfile {name}.sig")
    run = {"id": said["run"]["id"], "url": said["run"]["url"], "code": said["code"], "issued": said["issued"]}
    key = {name: k[name] for k in trust["keys"] if k["id"] == mark["keyid"] for name in ("id", "name")}
    says = [f"passed in run {run['id']}", f"({mark['keyid']})", f"ledger #{head['seq']} {head['hash'][:12]}"]
    return says, {"run": run, "key": key, "ledger_head": {"seq": head["seq"], "hash": head["hash"]}}
def texts(listed): return {(row.get("row", row.get("number")), row["text"]) for row in listed}
def rows(e, corpus, used):
    """Whether an answer about rows follows from those in the pack, and how its text begins."""
    own, others = ([c for c in corpus if c["trained_on"] is k and "missing" not in c] for k in (True, False))
    k, n = sum(c["matched"] for c in own), sum(c["rows"] or 0 for c in own)
    found = [c["against"] for c in own if "against" in c] if (against := e.get("against")) else own
    ok = [e["matched"], e["rows"]] == [k, n] and [c["dvc_hash"] for c in own] == [*{c["dvc_hash"]: 1 for c in used}]
    for c, m in ((c, m) for c in own for m in used if m["dvc_hash"] == c["dvc_hash"] and m.get("sha256")):
        ok &= [c["sha256"], c["rows"]] == [m["sha256"], m.get("rows", c["rows"])]
    ok &= all(c["matched"] >= len(c["shown"]) and c["pattern"] == e["pattern"] for c in own + others)
    ok &= not against or [sum(c["matched"] for c in found), len(found)] == [against["matched"], len(own)]
    ok &= texts(e["quoted"]) <= texts(row for c in found for row in c["shown"])
    elsewhere = {x["dvc_hash"]: x for x in e["elsewhere"]}
    for c, x in ((c, elsewhere[c["dvc_hash"]]) for c in others):
        ok &= [x["matched"], x["rows"]] == [c["matched"], c["rows"]] and texts(x["quoted"]) <= texts(c["shown"])
    return ok, f"{k} of {n:,} rows contain "
def time_of(event): return event["body"].get("clock") or event["at"]
def begins(event):  # in ns, less the second by which clocks may differ
    at = time_of(event)
    return (calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S")) - 1) * 10**9 + int(at[20:26]) * 1000
def bucket_of(put, salt):
    """Hash and bucket of the unit under a salt; None where the unit was not kept and the salt is another one."""
    if put["unit"] is None and salt != put["salt"]: return None
    u = put["u"] if put["unit"] is None else sha("", f"{salt}|{put['unit']}".encode("utf-8", "surrogatepass"))[:16]
    return u, int(u, 16) * 10_000 >> 64
def without_unit(put): return put["unit"] is None and not put["sticky"]
def given(put, trace, seq, route):
    """The arms that a route may give the request: one by the rule that assigns a unit; all where that is not known."""
    (stable, *others), copied, edge = route["arms"], trace["shadow_of"] is not None, 0
    if without_unit(put): return [stable] if route["strategy"] == "shadow" else route["arms"]
    if (found := bucket_of(put, str(route.get("rollout") or seq))) is None: return route["arms"]
    if put["tester"] is not None: return [a for a in route["arms"] if a["name"] == put["arm"]]
    for a in others if (route["strategy"] == "shadow") == copied else []:
        edge += a["weight_bp"]
        if found[1] < edge: return [a]
    return [] if copied else [stable]
class Said:
    """The walk's answers: what each says, and what was seen to follow from the evidence, which may be printed."""
    def __init__(self, walk, trace, events):
        self.says, self.seen, self.trace, self.events = {a["n"]: a for a in walk["answers"]}, {}, trace, events
        self.who, self.semver, self.put = trace["entry_sha"], trace["semver"], trace["assignment"]
        self.claims = [e for e in events.values() if e["kind"] == "claimed"]
        self.mine = [e for e in events.values() if e["body"].get("sha") == self.who]
        self.registered, self.promoted = ([e for e in self.mine if e["kind"] == k] for k in ("registered", "promoted"))
        self.numbers = [f"#{e['seq']}" for e in self.registered]
        self.named = self.registered[0]["body"]["evidence"] if self.registered else {}
        for e in (later["body"]["evidence"] for later in self.registered):
            self.named = e if self.named.items() <= e.items() else self.named
        manifest = read(evidence(self.named["train_manifest"])) if "train_manifest" in self.named else {}
        self.used = manifest.get("corpora") or []
    def text(self, n): return self.says[n]["answer"]
    def status(self, n): return self.says[n]["status"]
    def told(self, n, *names): return (e := self.says[n]["evidence"]) and all(name in e for name in names) and e
    def check(self, n, ok, line, *parts):
        cut = (text := self.text(n)).endswith("…") and len(text) > 180  # no answer is cut to fewer characters
        must(ok and (cut or all(p in text for p in parts)), f"answer {n} does not follow from the evidence: {text:.99}")
        self.seen[n] = line
    def lacks(self, n, here):
        nothing = self.status(n) == "missing" and "why" not in self.says[n]["evidence"]
        must(n in self.seen or not (here and nothing), f"answer {n} is said to be missing, and what it asks for is not")
def model(it):
    names = ["", *(p["body"]["semver"] for p in it.promoted)]
    must(it.semver in names or it.status(1) == "mismatch", f"{it.who[:12]} was never promoted as {it.semver}")
    e, (name, number) = it.says[1]["evidence"], (it.trace["fields"].get(key) for key in ("model", "claimed"))
    if not it.who:
        must(name not in [c["body"]["model"] for c in it.claims], f"the ledger has a claim of the name {name!a}")
        ok = it.status(1) == "missing" and (e.get("model") or "")[:99] == (name or "")[:99]
        it.check(1, ok, f"no entry: the server named {name:.99}" if name else "no entry: the server named no model")
    elif e := it.told(1, "sha"):
        ok = [e["sha"], e["semver"]] == [it.who, it.semver] and it.text(1).startswith(it.who[:12])
        ok &= e["registered"] in it.numbers and e.get("rehashed", "equal") == "equal"
        ok &= e.get("answered", it.trace["output"]) == it.trace["output"]
        told, bytes_, now = e.get("told_by_server") is True, "rehashed" in e, "answers_now" in e
        ok &= told or not bytes_ or now == (it.trace["input"] is not None)
        other = now and it.trace["status"] < 500 and e["answers_now"] != e["answered"]
        ok &= it.status(1) in (["mismatch"] if it.semver not in names or other else ["recorded"] if told else
                               ["verified"] if bytes_ else ["mismatch", "not_checked", "missing"])
        if claim := e.get("claim"):
            made = next(c for c in it.claims if c["seq"] == claim["seq"])
            known = [time_of(made), made["actor"], *(made["body"][key] for key in ("reason", "sha", "model"))]
            ok &= known == [claim["at"], claim["actor"], claim["reason"], it.who, e["model"]]
        ok &= number in (None, f"#{claim['seq']}" if claim else "") and (not claim or name in (None, e["model"]))
        it.check(1, ok, f"{it.who[:12]} {it.semver}, registered at {e['registered']}", f"  {it.semver}  ")
    it.lacks(1, it.registered)
def inputs(it):
    day = time.strftime("%Y-%m-%d", time.gmtime(it.trace["started_ns"] // 10**9))
    days = [d for d in it.events.values() if d["kind"] == "drift_reported" and d["body"]["day"] == day]
    if e := it.told(2, "event"):
        made = next(d for d in days if f"#{d['seq']}" == e["event"])
        ok = [it.status(2), e["day"], e["report"]] == ["verified", day, made["body"]["evidence"]["report"]]
        report = read(evidence(e["report"]))
        ok &= e["drift"]["status"] == report["status"] and all(e["drift"].get(k, v) == v for k, v in report.items())
        it.check(2, ok, f"{day} {e['drift']['status']} by the report of {e['event']}", day, e["event"])
    it.lacks(2, days)
def corpora(it, corpus):
    hashes = [c["dvc_hash"] for c in it.used]
    if e := it.told(3, "corpora"):
        lines = [f"{c.get('path')} md5 {c['dvc_hash'][:12]}" for c in it.used]
        ok = it.used and [it.status(3), *(c["dvc_hash"] for c in e["corpora"])] == ["verified", *hashes]
        it.check(3, ok, "; ".join(lines), *(f"md5 {h[:12]}" for h in hashes))
    it.lacks(3, it.used)
    if e := it.told(4, "matched"):
        ok, start = rows(e, corpus, it.used)
        ok &= it.status(4) == "verified" and it.text(4).startswith(start)
        it.check(4, ok, f"{start}the pattern {e['pattern']:.80}")
    must(4 in it.seen or not corpus, "corpus.json has rows that no answer speaks of")
def score(it):
    if e := it.told(5, "buckets"):
        report = read(evidence(it.named["eval_report"]))
        every = report["buckets"] | ({"total": report["total"]} if report.get("total") else {})
        k = {name: {i: every[name][i] for i in "kn"} for name in e["buckets"]}
        line = "  ".join(f"{name} {c['k']}/{c['n']} = {100 * c['k'] / c['n']:.1f} %" for name, c in k.items() if c["n"])
        ok = it.status(5) == "recorded" and bool(k or not report.get("total"))
        if not k: line = it.text(5); unseen.append("answer 5: the scores of its report")
        ok &= [e["buckets"], it.text(5)] == [k, line] and report["eval_set"].items() <= e["eval_set"].items()
        sent = [f"#{n}" for n, x in it.events.items() if x["kind"] in ("promoted", "routed") and it.who in str(x)]
        ok &= e["reported_at"] in it.numbers and (e["deployed_at"] in (sent or [None])[:1] or min(it.events) > 1)
        it.check(5, ok, line if k else "scores alone")
    it.lacks(5, "eval_report" in it.named)
def arm(it):
    """Answer 6, whose status is decided here again, of the route, the unit, the times and what the server reported."""
    put, trace, who, seq = it.put, it.trace, it.who, it.put["epoch"]
    wrong, event = trace["fields"].get("contradicts_ledger"), it.events.get(seq, {"body": {}})
    route, where = event["body"], f"epoch {seq}" + f", bucket {put['bucket']:,}" * (not without_unit(put))
    must(not 0 < seq < min(it.events), f"event #{seq}, which put the route in force, is not here")
    if "arms" not in route:
        must(trace["intended_sha"] in ("", who) and put["arm"] == "unrouted", "the trace has an arm without a route")
        return it.check(6, it.status(6) == ["missing", "mismatch"][bool(wrong)], f"there is no route event #{seq}")
    named = [a for a in route["arms"] if a["name"] == put["arm"]]
    told = it.says[1]["evidence"].get("told_by_server") is True  # a server may name any semver of its entry
    must(told or all(a["sha"] != who or a["semver"] == it.semver for a in named), "the trace's arm has another semver")
    live = trace["source"] != "replay"  # the times of replayed traffic are simulated
    later, own = live and trace["started_ns"] < begins(event), given(put, trace, seq, route)
    # A server that cannot load the models of a newer route yet answers by the one before it.
    newer = [e for e in it.events.values() if e["kind"] in ("routed", "rolled_back") and e["seq"] > seq]
    also = (given(put, trace, e["seq"], e["body"]) for e in newer if not live or begins(e) <= trace["started_ns"])
    must(trace["intended_sha"] in [a["sha"] for a in sum(also, own)], "the trace's arm is not the ledger's")
    ids = [None, trace["request_id"], trace["shadow_of"], trace["retry_of"]]
    fits = (put["u"], put["bucket"]) == bucket_of(put, put["salt"]) and (put["sticky"] or put["unit"] in ids)
    fits &= [put["strategy"], put["salt"]] == [route["strategy"], str(route.get("rollout") or seq)]
    # Where the unit need not have the arm, it is that of the entry that answered.
    homes = [a["name"] for a in route["arms"] if a["sha"] == who] or ["unrouted" if who else "unattributed"]
    homes += ["unrouted"] * (route["strategy"] == "shadow")
    must(put["arm"] in homes or not (wrong or later or not who), "the trace's arm is not that of its entry")
    why, status = next(found for holds, *found in (
        (wrong, "the server named another arm or epoch", "mismatch"),
        (not fits, "salt, hash and bucket are not the route's", "mismatch"),
        (not who, "the entry that answered is not known", "missing"), (later, "the route is younger", "recorded"),
        ([a["sha"] for a in named] != [who], "the route names another entry", "mismatch"),
        (named not in [[a] for a in own], "the unit has another arm", "mismatch"),
        (put["unit"] is None and (put["sticky"] or len(own) > 1), "no unit was kept, or none was given", "recorded"),
        (True, "computed again", "verified")) if holds)
    share = f", {named[0]['weight_bp'] / 100:g} %, " if named else ", not in that route, "
    parts = ["" if trace["shadow_of"] or put["tester"] else share, f"{put['arm']}, ", where]
    ok = [it.says[6]["evidence"], it.status(6)] == [put, status]
    it.check(6, ok, f"{put['arm']}{share}{where}: {why}", *(parts if status != "missing" else ()))
def gate(it, signed):
    made, claim = next((p for p in it.promoted if p["body"]["semver"] == it.semver), None), it.status(7) == "verified"
    if (e := it.told(7, "promoted")) or claim:
        body, line, says = made["body"], f"promoted at #{made['seq']}", []
        told = {"seq": made["seq"], "at": time_of(made), "actor": made["actor"], "reason": body.get("reason")}
        ok = [e["promoted"], e["verdict"]] == [told, body.get("verdict") or {}]
        kind = "overridden" if body.get("override") else "signed" if e["verdict"].get("signed") else "unsigned"
        if "gate" in e:
            run = [g for g in it.mine if g["kind"] == "gated" and g["seq"] < made["seq"]][-1]
            ok &= {"seq": run["seq"], **run["body"]}.items() <= e["gate"].items()
            line += f", unsigned, after a gate run that gave {run['body']['result']} at #{run['seq']}"
        ok &= e["standing"] == kind and it.status(7) in (
            ("verified", "mismatch") if kind == "signed" else ("recorded",) if "gate" in e else ("missing",))
        if claim: says, facts = signed[made["seq"]]; ok, says = ok and facts.items() <= e.items(), [*says, line]
        it.check(7, ok, ", ".join(says) or line, *says)
    it.lacks(7, made)
def fix(it, suggestion):
    e = it.says[8]["evidence"]
    must(suggestion == e.get("suggestion", ""), "walk.json suggests what answer 8 does not")
    if it.told(8, "entries", "go_to"):
        known = [(p["body"]["sha"], p["body"]["semver"]) for p in it.events.values() if p["kind"] == "promoted"]
        gone = {p["body"]["sha"] for p in it.events.values() if p["kind"] == "tombstoned"}
        first, early = min(it.events), [x["sha"] for x in e["entries"] if (x["sha"], x["semver"]) not in known]
        ok = (not early or (first > 1 and e["go_to"] not in early)) and not gone & {x["sha"] for x in e["entries"]}
        if early: unseen.append(f"answer 8: that {len(early)} of its entries were promoted before #{first}")
        there = {x["sha"]: x["semver"] for x in e["entries"] if x.get("right", True)}
        ok &= all(sha is None or sha in there for sha in (e["go_to"], e.get("release")))
        proven = all("verifies" in x for x in e["entries"])  # they were asked; of others there are scores alone
        other = ["recorded", "missing"] + ["not_checked"] * any(x.get("unavailable") for x in e["entries"])
        ok &= it.status(8) in ["verified" if proven else "recorded", *([] if e["go_to"] else other)]
        it.check(8, ok, f"go to {there.get(e['go_to'])} {e['go_to'][:12]}" if e["go_to"] else "no entry to go to")
    must(8 in it.seen or not e.get("go_to"), "answer 8 goes to an entry that it does not name")
def answers(walk, trace, corpus, events, signed):
    """Check each answer against the ledger's events, the evidence that they name, and the trace."""
    must([a["n"] for a in walk["answers"]] == [*range(1, 9)], "walk.json has other answers than eight")
    must(walk["trace"] == trace, "walk.json has another trace")
    it = Said(walk, trace, events)
    model(it); inputs(it); corpora(it, corpus); score(it); arm(it); gate(it, signed); fix(it, walk["suggestion"])
    unseen.extend(f"answer {n}: it names nothing that it follows from" for n in it.says if n not in it.seen)
    return [f"{n} {it.status(n)}: {it.seen[n]}" if n in it.seen else f"{n}: not checked, so not shown" for n in it.says]
def check(pack, trace, walk, trust, corpus, heads, digest):
    """Check everything that can be; returns the answers as they may be printed."""
    lines = FILES["SHA256SUMS"].decode().splitlines()
    listed = {line[66:]: line[:64] for line in lines}
    must(len(listed) == len(lines), "SHA256SUMS lists a file twice")
    for name in (listed.keys() | FILES.keys()) - {"SHA256SUMS"}:
        must(listed.get(name) == sha(name), f"{name} is not what SHA256SUMS lists")
    must(digest in (None, sha("SHA256SUMS")), f"SHA256SUMS is {sha('SHA256SUMS')}, and not {digest!a}")
    events, hashes, before = {}, {}, pack["before"]
    must(pack["from"] > 1 or before == "0" * 64, "the first event of the ledger follows another one")
    for seq, line in enumerate(FILES["ledger.jsonl"].splitlines(), pack["from"]):
        events[seq], hashes[seq] = (event := read(line)), sha("", line)
        must([event["seq"], event["prev"]] == [seq, hashes.get(seq - 1, before)], f"event #{seq} does not follow")
    kept = [(int(seq), digest) for seq, digest in (head.split(":") for head in [pack["ledger"], *heads])]
    for seq, digest in kept: must(hashes.get(seq) == digest, f"the ledger does not hold {seq}:{digest}")
    must(kept[0][0] == max(hashes), "pack.json names another head than the newest event")
    last = max((seq for seq, _ in kept[1:]), default=max(hashes))
    if last < max(hashes): unseen.append(f"the events after #{last}, which no head covers: they may be forged")
    signed, parents, line = {}, {}, []
    for event in (e for e in events.values() if e["body"].get("sha") in pack["entries"]):
        body = event["body"]
        for found in (body.get("verdict") or {}).get("digest"), *body.get("evidence", {}).values():
            if found is not None: evidence(found)
        if event["kind"] == "registered":
            parents[body["sha"]] = body["parent"]; identity(body, read(evidence(body["evidence"]["bundle"])))
        if (body.get("verdict") or {}).get("signed"):
            signed[event["seq"]] = verdict(f"signatures/{body['verdict']['digest']}", event["seq"], body, hashes, trust)
    for entry in (trace["entry_sha"], walk["answers"][7]["evidence"].get("go_to")):
        while entry and entry not in line: line.append(entry); entry = parents.get(entry)
    must(pack["entries"] == line, "pack.json names other entries than those of the walk and their parents")
    must(not trace["entry_sha"] or trace["entry_sha"] in parents, f"the ledger has no entry {trace['entry_sha']}")
    unseen.extend(f"the parent {entry}: its registration is not here" for entry in line if entry not in parents)
    must(pack["text_policy"] == "full" or trace["input"] is trace["output"] is None, "pack.json denies the texts")
    told = [trace["request_id"], walk["request_id"], trace["entry_sha"], "spine.pack/1"]
    first = pack["entries"][0] if trace["entry_sha"] and pack["entries"] else ""
    must(told == [pack["request_id"], pack["request_id"], first, pack["schema"]], "trace, walk and pack disagree")
    return answers(walk, trace, corpus, events, signed)
def plain(line): return ascii(str(line))[1:-1]
def main(words):
    at, digest, shown = words.index("--list") if "--list" in words else None, None, []
    if at is not None: digest = (words[at + 1:] or [""])[0]; del words[at:at + 2]
    files = (read(FILES[f"{name}.json"]) for name in ("pack", "trace", "walk", "trust", "corpus"))
    try: shown = check(*files, words, digest)
    except Exception as error: must(False, f"the pack cannot be read: {type(error).__name__}: {error}")
    print("\n".join(f"WRONG: {plain(line)}" for line in wrong) or "\n".join(map(plain, shown)))
    if digest is None: unseen.append("SHA256SUMS against a digest kept elsewhere (--list): trace, texts may be forged")
    if not words: unseen.append("the ledger against a head kept elsewhere (SEQ:HASH): all of it may be forged")
    unseen.append("trust.json against the committed one, the corpora, what a model answers now, wording, walk.md")
    print("\n".join(f"not checked: {plain(line)}" for line in unseen))
    print(f"{'WRONG' if wrong else 'nothing is wrong'}; SHA256SUMS is {sha('SHA256SUMS')}")
    return bool(wrong)
sys.exit(main(sys.argv[1:]))
