"""The denial matrix: one thing wrong with a promotion, and a prod ledger refuses it, moves nothing and writes it down.

Every case runs the command on one real prod ledger in which the valid verdict would promote. Then every field of
that verdict and of its envelope is changed, left out, added and given another type. At the end the broken twins: a
verifier that skips one check lets the case of that check through, so the matrix can fail.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gating import at, changed, leaves
from modelspine.attestation import dsse
from modelspine.attestation.keys import Trust as TrustFile
from modelspine.attestation.keys import TrustedKey, new_key, trust_bytes
from modelspine.canonical_json import canonical
from modelspine.errors import Refused
from modelspine.gate.result import Decision
from modelspine.maintenance.chain import read_chain
from modelspine.maintenance.verify_ledger import verify as verify_all
from prod import Prod, attempt, digest, make_prod, pointers, promote

Patch = pytest.MonkeyPatch
Spoil = Callable[[Prod, Patch], bytes | None]
"""Spoils one thing, and returns the envelope to promote with."""

NOW = datetime.now(UTC)
MALLORY = new_key()


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Prod:
    return make_prod(tmp_path_factory.mktemp("denials") / "prod")


def says(*way: str | int, value: Any) -> Spoil:
    """CI's own key under another statement."""
    return lambda prod, _: prod.reseal(changed(prod.data(), ("predicate", *way), value))


def given(**more: Any) -> Spoil:
    """What the gate states when it is given something else."""
    return lambda prod, _: prod.signed(**more)


def beside(change: Callable[[Prod, Patch], None]) -> Spoil:
    """A valid verdict, made before something beside it changes."""

    def spoil(prod: Prod, patch: Patch) -> bytes:
        envelope = prod.signed()
        change(prod, patch)
        return envelope

    return spoil


def edit(name: str, old: bytes, new: bytes, *, committed: bool = False) -> Spoil:
    def change(prod: Prod, _: Patch) -> None:
        file = prod.root / name
        raw = file.read_bytes()
        assert old in raw
        file.write_bytes(raw.replace(old, new))
        if committed:
            prod.commit()

    return beside(change)


def counts(k: int, result: str = "pass") -> Spoil:
    """Half of the buckets' right answers gone, under CI's own signature."""

    def spoil(prod: Prod, _: Patch) -> bytes:
        data = prod.data()
        data["predicate"]["candidate"]["buckets"]["verb/go"]["k"] = k
        data["predicate"]["result"] = result
        return prod.reseal(data)

    return spoil


def failing_report(prod: Prod, _: Patch) -> bytes:
    return prod.reseal(changed(prod.data("bad"), ("predicate", "result"), "pass"))


def head_of_another(prod: Prod, _: Patch) -> bytes:
    return prod.reseal(changed(prod.data(), ("predicate", "ledger", "hash"), "f" * 64))


def mine(prod: Prod, _: Patch) -> bytes:
    return prod.reseal(prod.data(), MALLORY)


def under_a_trusted_name(prod: Prod, _: Patch) -> bytes:
    envelope = json.loads(prod.reseal(prod.data(), MALLORY))
    envelope["signatures"][0]["keyid"] = prod.key.id
    return canonical(envelope)


def uncommitted_key(prod: Prod, patch: Patch) -> bytes:
    prod.trust(prod.key, MALLORY)
    return mine(prod, patch)


def trust_elsewhere(prod: Prod, patch: Patch) -> bytes:
    envelope = uncommitted_key(prod, patch)
    file = prod.root / ".spine" / "mine.json"
    file.write_bytes((prod.root / "spine.trust.json").read_bytes())
    prod.trust(prod.key)
    patch.setenv("SPINE_TRUST", str(file))
    return envelope


def committed_for_another_use(prod: Prod, patch: Patch) -> bytes:
    """A trust file that the repository holds as well, such as a test's, whose key anybody has."""
    envelope = uncommitted_key(prod, patch)
    file = prod.root / "fixture.json"
    file.write_bytes((prod.root / "spine.trust.json").read_bytes())
    prod.trust(prod.key)
    prod.commit()
    patch.setenv("SPINE_TRUST", "fixture.json")
    return envelope


def put_back(prod: Prod, _: Patch) -> bytes:
    """The baseline that a verdict was signed against, back on disk after a commit moved it."""
    envelope, file = prod.signed(), prod.root / "eval_baseline.json"
    old = file.read_bytes()
    file.write_bytes(old.replace(b"the first", b"the last!"))
    prod.commit()
    file.write_bytes(old)
    return envelope


def git_elsewhere(prod: Prod, patch: Patch) -> bytes:
    """Another repository, in which the key is committed."""
    envelope = uncommitted_key(prod, patch)
    other = prod.root / ".spine" / "evil"
    if not other.exists():
        other.mkdir()
        (other / "spine.trust.json").write_bytes((prod.root / "spine.trust.json").read_bytes())
        Prod(other, MALLORY, {}).git("init", "-q")
        Prod(other, MALLORY, {}).commit()
    patch.setenv("GIT_DIR", str(other / ".git"))
    patch.setenv("GIT_WORK_TREE", str(prod.root))
    return envelope


def removed_key(prod: Prod, _: Patch) -> bytes:
    envelope = prod.signed()
    prod.trust(MALLORY)
    prod.commit()
    return envelope


def wrong_id(prod: Prod, _: Patch) -> bytes:
    line = TrustedKey(id=prod.key.id, public=base64.b64encode(MALLORY.public).decode(), name="ci", added="2026")
    (prod.root / "spine.trust.json").write_bytes(trust_bytes(TrustFile(keys=(line,))))
    prod.commit()
    return prod.reseal(prod.data(), MALLORY)


def envelope_with(**more: Any) -> Spoil:
    return lambda prod, _: canonical({**json.loads(prod.signed()), **more})


def twice_signed(prod: Prod, _: Patch) -> bytes:
    envelope = json.loads(prod.signed())
    return canonical({**envelope, "signatures": envelope["signatures"] * 2})


def raw(make: Callable[[bytes], bytes]) -> Spoil:
    return lambda prod, _: make(prod.signed())


def env(name: str, value: str, then: Spoil) -> Spoil:
    def spoil(prod: Prod, patch: Patch) -> bytes | None:
        patch.setenv(name, value)
        return then(prod, patch)

    return spoil


def configured(text: str, then: Spoil) -> Spoil:
    def spoil(prod: Prod, patch: Patch) -> bytes | None:
        (prod.root / "spine.toml").write_text(text)
        (prod.root / "fixture.json").write_bytes((prod.root / "spine.trust.json").read_bytes())
        return then(prod, patch)

    return spoil


def none(_prod: Prod, _: Patch) -> None:
    return None


def used(prod: Prod, _: Patch) -> bytes:
    return prod.used


def late(prod: Prod, _: Patch) -> bytes:
    return prod.signed(stable=None)


def gone(name: str) -> Spoil:
    return beside(lambda prod, _: (prod.root / name).unlink())


AGO = NOW - timedelta(days=2)
WEEK = {"issued": "2026-11-01T00:00:00.000000Z", "expires": "2027-11-01T00:00:00.000000Z"}

Case = tuple[Spoil, str, str, tuple[str, ...]]
"""What is wrong, the reason that is told, the entry it is tried on, and further words of the command."""


def case(spoil: Spoil, reason: str, *words: str, on: str = "good") -> Case:
    return spoil, reason, on, words


CASES: dict[str, Case] = {
    # the verdict
    "no verdict": case(none, "only verdicts signed by CI"),
    "no verdict, gate failed": case(none, "failed the gate", on="gated"),
    "a failed verdict": case(lambda p, _: p.signed("bad"), "says fail", on="bad"),
    "another entry's": case(lambda p, _: p.signed("other"), "the verdict is about"),
    "the one of the entry in production": case(used, "the verdict is about"),
    "replayed for another semver": case(used, "already used for a promotion", "--semver", "v1.1.0", on="first"),
    "expired": case(given(issued=AGO), "expired at"),
    "expired a moment ago": case(given(issued=NOW - timedelta(hours=24)), "expired at"),
    "not yet valid": case(given(issued=NOW + timedelta(days=1)), "not valid before"),
    "living for a year": case(
        lambda p, _: p.reseal({**(d := p.data()), "predicate": {**d["predicate"], **WEEK}}),
        "validity period is not between",
    ),
    "decided before production moved": case(late, "production changed"),
    "decided on another ledger": case(head_of_another, "the verdict was decided on another ledger"),
    "decided on an event to come": case(
        says("ledger", "seq", value=9_999), "the verdict was decided on another ledger"
    ),
    "decided on no event": case(
        says("ledger", value={"seq": 0, "hash": "0" * 64}), "the verdict was decided on another ledger"
    ),
    "PASS over failing counts": case(counts(20), "its own counts give fail"),
    "PASS over a failing report": case(failing_report, "its own counts give fail", on="bad"),
    "PASS over more right than asked": case(counts(51), "its own counts give error"),
    "FAIL over passing counts": case(counts(48, "fail"), "says 'fail'"),
    "PASS in other letters": case(says("result", value="PASS"), "says 'PASS'"),
    "too many false accepts": case(says("candidate", "false_accept", value={"k": 90, "n": 100}), "counts give fail"),
    "a tolerance raised": case(says("policy", "tolerance_pp", value=99), "another policy"),
    "another eval set": case(says("eval_set", "sha256", value="0" * 64), "another eval set"),
    "another decoding": case(says("decoding", value={"method": "sampled"}), "other decoding settings"),
    "counts no report has": case(counts(48), "differ from those of the report"),
    "counts of a report that is not here": case(says("candidate", "sha256", value="0" * 64), "cannot be read here"),
    "another baseline's": case(says("baseline", "sha256", value="0" * 64), "the baseline changed"),
    "code without a whole name": case(says("code", value="main"), "the code"),
    "an unknown item": case(says("never_regress", value={"x": True}), "never_regress"),
    # the key
    "unsigned": case(envelope_with(signatures=[]), "0 signatures"),
    "the statement alone": case(lambda p, _: canonical(p.data()), "not a signed envelope"),
    "signed twice": case(twice_signed, "2 signatures"),
    "a key nobody trusts": case(mine, "not in the trust file"),
    "a key nobody trusts under a trusted id": case(under_a_trusted_name, "the signature does not match"),
    "a key that was removed": case(removed_key, "not in the trust file"),
    "a key nobody committed": case(uncommitted_key, "differs from the committed version"),
    "a trust file elsewhere": case(trust_elsewhere, "SPINE_TRUST names the trust file"),
    "another committed trust file by variable": case(committed_for_another_use, "SPINE_TRUST names the trust file"),
    "another trust file by settings nobody committed": case(
        configured('trust = "fixture.json"\n', mine),
        "is fixture.json by the settings on disk, but spine.trust.json by the committed ones",
    ),
    "a repository elsewhere": case(git_elsewhere, "differs from the committed version"),
    "a trusted id over another key": case(wrong_id, "an id that does not match"),
    "no trust file": case(gone("spine.trust.json"), "there is no trust file"),
    "an empty trust file": case(edit("spine.trust.json", b'"keys"', b'"kees"'), "differs from the committed version"),
    # what it stands on
    "no baseline": case(gone("eval_baseline.json"), "there is no baseline"),
    "the baseline edited since": case(
        edit("eval_baseline.json", b"the first", b"the last!", committed=True), "the baseline changed"
    ),
    "the tolerance raised since": case(
        edit("eval_baseline.json", b'"tolerance_pp": 2', b'"tolerance_pp": 9', committed=True), "the baseline changed"
    ),
    "the baseline cut short": case(
        edit("eval_baseline.json", b"{", b"", committed=True), "the verdict cannot be checked"
    ),
    "the baseline edited and not committed": case(
        edit("eval_baseline.json", b"the first", b"the last!"), "differs from the committed version"
    ),
    "an earlier baseline put back": case(put_back, "differs from the committed version"),
    "another baseline by variable": case(
        beside(lambda p, m: m.setenv("SPINE_EVAL_BASELINE", str(p.root / "spine.trust.json"))), "names the baseline"
    ),
    "bytes that changed": case(lambda p, _: p.signed("corrupt"), "hashes to", on="corrupt"),
    "held": case(lambda p, _: p.signed("held"), "is on hold", on="held"),
    "tombstoned": case(lambda p, _: p.signed("buried"), "is tombstoned", on="buried"),
    "refused by the gate before": case(lambda p, _: p.signed("gated"), "failed the gate", on="gated"),
    "never evaluated": case(lambda p, _: p.signed(), "no evaluation report", on="unevaluated"),
    "a semver that is taken": case(lambda p, _: p.signed(), "a semver is never reused", "--semver", "v1.0.0"),
    # the environment
    "SPINE_ENV=dev without a verdict": case(env("SPINE_ENV", "dev", none), "only verdicts signed by CI"),
    "SPINE_ENV=dev with nobody's key": case(env("SPINE_ENV", "dev", uncommitted_key), "differs from the committed"),
    "env = dev in spine.toml": case(configured('env = "dev"\n', none), "only verdicts signed by CI"),
    "the override": case(none, "only in a dev ledger", "--override-gate"),
    "the override of a failed gate": case(none, "only in a dev ledger", "--override-gate", on="gated"),
    "the override as dev": case(env("SPINE_ENV", "dev", none), "only in a dev ledger", "--override-gate", on="gated"),
    "the override beside a verdict": case(lambda p, _: p.signed(), "only in a dev ledger", "--override-gate"),
    # the file
    "an empty file": case(raw(lambda _: b""), "not a signed envelope"),
    "a byte order mark": case(raw(lambda e: b"\xef\xbb\xbf" + e), "byte order mark"),
    "UTF-16": case(raw(lambda e: e.decode().encode("utf-16")), "not UTF-8"),
    "not text": case(raw(lambda _: bytes(range(256))), "not UTF-8"),
    "a line feed more": case(raw(lambda e: e + b"\n"), "not canonical JSON"),
    "cut short": case(raw(lambda e: e[:-9]), "not JSON"),
    "a list": case(raw(lambda e: b"[" + e + b"]"), "not a signed envelope"),
    "a field twice": case(raw(lambda e: b'{"payload":"",' + e[1:]), "more than once"),
    "a field more": case(envelope_with(note="x"), "not a signed envelope"),
    "another type": case(envelope_with(payloadType="application/json"), "the envelope's payload type is"),
    "a payload in another alphabet": case(envelope_with(payload="_-_-"), "not canonical base64"),
    "hidden characters": case(envelope_with(payloadType="\u202e\x1b[31m"), "the envelope's payload type is"),
    # the request
    "a key that would not fit the event": case(mine, "not in the trust file", "--key", "k" * 900),
}


@pytest.fixture
def mended(prod: Prod) -> Iterator[None]:
    """Whatever a case does to the files is undone, and committed where it was."""
    names = ("spine.trust.json", "eval_baseline.json")
    before = {name: (prod.root / name).read_bytes() for name in names}
    yield
    (prod.root / "spine.toml").unlink(missing_ok=True)
    if any(not (prod.root / name).is_file() or (prod.root / name).read_bytes() != before[name] for name in names):
        for name in names:
            (prod.root / name).write_bytes(before[name])
        prod.git("add", "-A")
        prod.git("commit", "-qm", "mend", "--allow-empty")


def deny(prod: Prod, name: str, patch: Patch, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that a case is refused for its reason, with nothing moved, and written down with its attempt."""
    spoil, reason, on, words = CASES[name]
    with prod.open() as spine:
        before = pointers(spine)
    envelope = spoil(prod, patch)
    capsys.readouterr()
    code, events = promote(prod, envelope, *words, name=on)
    said = capsys.readouterr()
    patch.undo()
    assert code == (5 if name == "bytes that changed" else 1), said
    assert reason in said.err, said.err
    assert "Traceback" not in said.err
    assert "\x1b" not in said.err
    with prod.open() as spine:
        assert pointers(spine) == before
    assert [event.kind for event in events] == ["denied"]
    body = events[0].body
    assert (body["verb"], body["sha"]) == ("promote", prod.entries[on])
    assert body["reason"]
    assert body.get("verdict") == (digest(envelope) if envelope is not None else None)
    assert ("idempotency_key" in body) == ("--key" in words)


@pytest.mark.parametrize("name", CASES)
def test_a_promotion_with_one_thing_wrong_is_denied(
    name: str, prod: Prod, mended: None, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    deny(prod, name, monkeypatch, capsys)


def test_the_matrix_is_large_enough() -> None:
    assert len(CASES) >= 60


def test_a_refusal_names_who_claims_to_have_signed(prod: Prod) -> None:
    envelope = prod.reseal(prod.data(), MALLORY)
    with prod.open() as spine:
        error, event = attempt(prod, spine, envelope, key="ci-7")
    assert isinstance(error, Refused)
    assert (event.body["signer"], event.body["idempotency_key"]) == (MALLORY.id, "ci-7")


def test_a_refused_key_is_decided_again_and_stands_for_what_is_promoted(prod: Prod, tmp_path: Path) -> None:
    """A refusal is no result: the cause may be mended, and then the same request goes through, once."""
    again = prod.copy(tmp_path / "again")
    bad = again.reseal(again.data(), MALLORY)
    with again.open() as spine:
        seqs = [attempt(again, spine, bad, key="ci-8")[1].seq for _ in range(2)]
    assert seqs[1] == seqs[0] + 1
    envelope = again.signed()
    code, events = promote(again, envelope, "--key", "ci-8")
    assert (code, [event.kind for event in events]) == (0, ["promoted"])
    assert promote(again, envelope, "--key", "ci-8") == (0, [])


def test_a_key_no_ledger_can_keep_is_no_attempt(prod: Prod, capsys: pytest.CaptureFixture[str]) -> None:
    for key in ("k\udcff\x1b[31m", " "):
        assert promote(prod, b"{}", "--key", key) == (2, [])
        assert "is not an idempotency key" in capsys.readouterr().err


# every field ----------------------------------------------------------------------------------------------------


def others(value: Any) -> list[Any]:
    """A value of the same kind, and one of another kind."""
    if isinstance(value, bool):
        return [not value, 1]
    if isinstance(value, int):
        return [value + 1, str(value)]
    if isinstance(value, str):
        return [value[:-1] + ("0" if value[-1:] != "0" else "1"), 7]
    return ["x", 0] if value is None else [None, "x"]


def nodes(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every value, containers too."""
    if path:
        yield path
    for name, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from nodes(each, (*path, name))


def mutants(data: Any) -> Iterator[tuple[str, Any]]:
    """Every single-field mutation: changed, another type, left out, one more beside it."""
    for path in nodes(data):
        way = ".".join(map(str, path))
        for value in others(at(data, path)):
            yield f"{way} = {value!r}", changed(data, path, value)
        less = copy.deepcopy(data)
        del at(less, path[:-1])[path[-1]]
        yield f"{way} left out", less
        parent = at(data, path[:-1])
        if isinstance(parent, dict):
            yield f"{way} and one more", changed(data, (*path[:-1], f"{path[-1]}2"), at(data, path))
        else:
            yield f"{way} twice", changed(data, path[:-1], [*parent, at(data, path)])


@pytest.mark.slow
@pytest.mark.long  # some four hundred promotions, each with its gits
def test_every_field_of_a_verdict_changed_under_the_old_signature_is_denied(prod: Prod) -> None:
    valid = prod.signed()
    envelope = json.loads(valid)
    data = json.loads(base64.b64decode(envelope["payload"]))
    assert len(list(leaves(data))) >= 50
    with prod.open() as spine:
        for what, mutant in mutants(data):
            payload = base64.b64encode(canonical(mutant)).decode()
            error, _ = attempt(prod, spine, canonical({**envelope, "payload": payload}))
            assert "the signature does not match" in error.message, what


@pytest.mark.slow
@pytest.mark.long  # some four hundred promotions, each with its gits
def test_every_field_of_a_verdict_changed_and_signed_by_nobody_trusted_is_denied(prod: Prod) -> None:
    data = prod.data()
    with prod.open() as spine:
        for number, (what, mutant) in enumerate(mutants(data)):
            made = json.loads(prod.reseal(mutant, MALLORY))
            if number % 2:  # every other one claims a trusted key's id
                made["signatures"][0]["keyid"] = prod.key.id
            error, event = attempt(prod, spine, canonical(made))
            assert isinstance(error, Refused), what
            assert event.body["signer"] == made["signatures"][0]["keyid"]


def test_every_field_of_the_envelope_changed_is_denied(prod: Prod) -> None:
    envelope = json.loads(prod.signed())
    with prod.open() as spine:
        for what, mutant in mutants(envelope):
            error, _ = attempt(prod, spine, canonical(mutant))
            assert isinstance(error, Refused), what


# the harness can fail -------------------------------------------------------------------------------------------


def passing(*_: Any, **__: Any) -> Decision:
    return Decision(result="pass", reasons=())


def believing(_state: object, _sha: str, _semver: str, env: str, **_: object) -> dict[str, Any]:
    """A rule that takes the process's word for what the ledger is."""
    if env != "dev":
        raise Refused("no", "no")
    return {"verdict": {"signed": False}}


def skipped(*_: object, **__: object) -> None:
    return None


def any_spelling(made: bytes) -> dsse.Envelope:
    return msgspec.json.decode(made, type=dsse.Envelope)


VERDICT = "modelspine.attestation.verdict"
PROMOTION = "modelspine.release.promotion"
TWINS: dict[str, tuple[dict[str, Any], str]] = {
    "skips the subject": (
        {f"{VERDICT}.check_subject": skipped, f"{VERDICT}.VerifiedVerdict.check": skipped}, "another entry's"
    ),
    "skips the time": ({f"{VERDICT}.check_validity": skipped}, "expired"),
    "skips what moved": ({f"{VERDICT}.check_unchanged": skipped}, "the baseline edited since"),
    "believes the result": ({f"{VERDICT}.recomputed_decision": passing}, "PASS over a failing report"),
    "skips the signature": (
        {"modelspine.attestation.keys.TrustedKey.accepts": lambda *_: True}, "a key nobody trusts under a trusted id"
    ),
    "believes any trust file": (
        {"modelspine.attestation.trust._as_committed": lambda _root, file, _hint: file.read_bytes()},
        "a key nobody committed",
    ),
    "believes any variable": (
        {f"{PROMOTION}.in_force": lambda settings, name, **_: getattr(settings, name).read_bytes()},
        "another committed trust file by variable",
    ),
    "believes any counts": ({f"{PROMOTION}._check_counts": skipped}, "counts no report has"),
    "allows a year": ({"modelspine.attestation.checks.MAX_LIFETIME": timedelta(days=999)}, "living for a year"),
    "takes any spelling": ({"modelspine.attestation.dsse._read": any_spelling}, "a line feed more"),
    "lets SPINE_ENV loosen": (
        {"modelspine.registry.registry.may_promote": believing}, "SPINE_ENV=dev without a verdict"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TWINS)
def test_a_verifier_that_skips_one_check_fails_the_matrix(
    name: str, prod: Prod, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, missed = TWINS[name]
    twin = prod.copy(tmp_path / "twin")
    with pytest.MonkeyPatch.context() as patch:
        for where, instead in broken.items():
            patch.setattr(where, instead)
        with pytest.raises(AssertionError):
            deny(twin, missed, monkeypatch, capsys)
    with twin.open() as spine:
        assert "v2.0.0" in spine.registry.state().semvers, "the matrix failed for another reason"


def test_the_valid_verdict_promotes_after_everything(prod: Prod) -> None:
    """Last: nothing that was tried left a mark on the ledger but the refusals, and its chain verifies."""
    code, events = promote(prod, prod.signed())
    assert (code, [event.kind for event in events]) == (0, ["promoted"])
    with prod.open() as spine:
        chain = read_chain(spine.settings.ledger)
        checks = verify_all(spine.ledger, spine.cache, chain, progress=lambda *_: None)
        problems = [problem for check in checks for problem in check.problems]
        assert [problem for problem in problems if prod.entries["corrupt"][:12] not in problem] == []
        assert {event.kind for event in chain.events[20:-1]} <= {"denied"}
