"""The pack of an incident: what is in it, what its verifier finds, and that it needs Python alone."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import forge
import pack_forger
from bundles import eval_report, write_bundle
from cli_world import REQUEST, SAID, V1, V2, leave_trace, track
from modelspine.cli import main
from modelspine.gate.baseline import baseline_bytes, baseline_of
from modelspine.gate.eval_report import read_report
from modelspine.settings import load
from modelspine.spine import create_ledger, open_spine

ECHO = str(Path(__file__).parents[3] / "fixtures" / "echo")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A prod project: a parent on signed verdict v1.0.0, its child on v2.0.0, and one request to the parent."""
    root = tmp_path_factory.mktemp("pack") / "project"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.syspath_prepend(ECHO)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "tester")
            patch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")
        (root / "spine.toml").write_text('workload = "echo"\n')
        create_ledger(load(root, environ={}), "prod")
        report = read_report(json.dumps(eval_report(95, 100)).encode())
        (root / "eval_baseline.json").write_bytes(
            baseline_bytes(baseline_of(report, reason="the first", approved_in="v0.1.0", entry_sha="a" * 64))
        )
        v1, v2 = track(root, "v1", V1), track(root, "v2", V2)
        (root / ".gitignore").write_text(".spine/\nmade/\n")
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "baseline"]):
            subprocess.run(["git", *words], cwd=root, check=True)
        assert main(["keys", "new", "--name", "ci", "--out", "../ci.pem"]) == 0
        for words in (["add", "spine.trust.json"], ["commit", "-qm", "trust"]):
            subprocess.run(["git", *words], cwd=root, check=True)
        parent = None
        for number, corpus in ((-1, v1), (7, v2)):
            folder = write_bundle(root / "made" / str(number), number, corpora=[corpus], parent=parent)
            if parent is None:  # the child is without further files: a pack with both formulas of an identity
                forge.write(folder, {"vocab.txt": b"went", "größe/日本語.json": b"{}"})
            with open_spine(root) as spine:
                sha = spine.registry.register(folder).sha
            assert main(["gate", sha, "--sign", "--key", "../ci.pem", "--out", f"../{number}.json"]) == 0
            semver = "v2.0.0" if parent else "v1.0.0"
            assert main(["promote", sha, "--semver", semver, "--reason", "x", "--verdict", f"../{number}.json"]) == 0
            parent = parent or sha
        leave_trace(root, REQUEST, SAID, SAID, "dismissed")
        assert main(["incident", REQUEST, "--pack", "../first.zip"]) == 0
        yield root


@pytest.fixture
def unzipped(world: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(world.parent / "first.zip") as archive:
        archive.extractall(tmp_path / "pack")
    return tmp_path / "pack"


def verified(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the verifier as a stranger would: no site packages, no environment."""
    command = [sys.executable, "-I", "-S", "verify.py", *words]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, check=False)


def test_a_pack_verifies_with_python_alone(world: Path, unzipped: Path) -> None:
    with open_spine(world, readonly=True) as spine:
        head = spine.ledger.head()
        lines = spine.ledger.lines()
    done = verified(unzipped, f"{head.seq}:{head.hash}")
    assert (done.returncode, done.stderr) == (0, "")
    assert hashlib.sha256((unzipped / "SHA256SUMS").read_bytes()).hexdigest() in done.stdout
    assert (unzipped / "ledger.jsonl").read_bytes().splitlines() == lines
    assert len((unzipped / "verify.py").read_text().splitlines()) <= 300
    assert "--list" in done.stdout, "without the list's digest, texts and rows are not checked"
    listed = verified(unzipped, "--list", hashlib.sha256((unzipped / "SHA256SUMS").read_bytes()).hexdigest())
    assert (listed.returncode, "--list" in listed.stdout, "SEQ:HASH" in listed.stdout) == (0, False, True)
    assert verified(unzipped, "--list", "0" * 64).returncode == verified(unzipped, "--list").returncode == 1
    assert json.loads((unzipped / "walk.json").read_text())["answers"][0]["status"] == "verified"
    assert (unzipped / "walk.md").read_text().startswith("# Incident")
    corpora = json.loads((unzipped / "corpus.json").read_text())
    assert [(c["path"], c["trained_on"], c["matched"], c["rows"]) for c in corpora] == [
        ("data/v1.jsonl", True, 0, 50), ("data/v2.jsonl", False, 1, 51),
    ]  # fmt: skip
    assert corpora[1]["shown"][0]["text"] == json.dumps(V2[-1])
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=unzipped, check=False).returncode == 0


def test_a_wrong_head_is_found(unzipped: Path) -> None:
    done = verified(unzipped, f"3:{'0' * 64}")
    assert done.returncode == 1
    assert "does not hold 3:000" in done.stdout


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the printed command is openssl's")
def test_the_command_it_prints_checks_the_signature(unzipped: Path) -> None:
    printed = [line for line in verified(unzipped).stdout.splitlines() if line.startswith("not checked: openssl")]
    assert len(printed) == 2
    for line in printed:
        words = line.removeprefix("not checked: ").split()
        assert subprocess.run(words, cwd=unzipped, capture_output=True).returncode == 0
        signature = unzipped / words[-1]
        signature.write_bytes(bytes([signature.read_bytes()[0] ^ 1]) + signature.read_bytes()[1:])
        assert subprocess.run(words, cwd=unzipped, capture_output=True).returncode != 0


NAMES = [
    "SHA256SUMS", "pack.json", "ledger.jsonl", "trace.json", "walk.json", "walk.md", "corpus.json", "trust.json",
    "verify.py", "evidence/*", "signatures/*.pae", "signatures/*.sig", "signatures/*.pem",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_one_changed_byte_of_any_file_is_found(unzipped: Path, name: str) -> None:
    for file in sorted(unzipped.glob(name)):
        raw = file.read_bytes()
        at = raw.index(b"\n") - 1 if name == "verify.py" else len(raw) // 2
        file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        done = verified(unzipped)
        assert done.returncode == 1, file
        assert "WRONG" in done.stdout
        file.write_bytes(raw)
    assert list(unzipped.glob(name))
    assert verified(unzipped).returncode == 0


def test_a_file_more_or_less_is_found(unzipped: Path) -> None:
    (unzipped / "more.txt").write_text("x")
    assert "more.txt is not what SHA256SUMS lists" in verified(unzipped).stdout
    (unzipped / "more.txt").unlink()
    (unzipped / "corpus.json").unlink()
    assert verified(unzipped).returncode == 1


def edit(name: str, before: str, after: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for file in sorted(folder.glob(name)):
            raw = file.read_bytes()
            if before.encode() in raw:
                file.write_bytes(raw.replace(before.encode(), after.encode(), 1))
                return
        raise AssertionError(f"{before} is in no {name}")

    return change


def cut_event(folder: Path) -> None:
    lines = (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines[:3] + lines[4:]))


def cut_tail(folder: Path) -> None:
    lines = (folder / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "ledger.jsonl").write_bytes(b"".join(lines[:-1]))


def other_tensor(folder: Path) -> None:
    """Another tensor digest in the table, which then stands under its own digest and is named by a forged event."""
    table = next(f for f in folder.glob("evidence/*") if b'"tensors"' in f.read_bytes())
    raw = table.read_bytes()
    at = raw.index(b'data_sha256":"') + len(b'data_sha256":"')
    table.write_bytes(raw[:at] + (b"0" if raw[at : at + 1] != b"0" else b"1") + raw[at + 1 :])


def other_identity(part: str) -> Callable[[Path], None]:
    """Another digest in the table of a bundle, which a forged chain of events names."""

    def change(folder: Path) -> None:
        for table in sorted(folder.glob("evidence/*")):
            found = json.loads(table.read_bytes())
            if isinstance(found, dict) and found.get(part):
                found[part][0]["data_sha256" if part == "tensors" else "sha256"] = "0" * 64
                raw = json.dumps(found).encode()
                table.rename(table.with_name(digest := hashlib.sha256(raw).hexdigest()))
                table.with_name(digest).write_bytes(raw)
                rechain(folder, table.name, digest)
                return
        raise AssertionError(f"no bundle has {part}")

    return change


def rechain(folder: Path, before: str, after: str) -> None:
    """Replace a digest in the events, and hash the chain again from there, with a head that says so."""
    pack = json.loads((folder / "pack.json").read_bytes())
    lines, prev = [], pack["before"]
    for line in (folder / "ledger.jsonl").read_text().splitlines():
        event = json.loads(line.replace(before, after)) | {"prev": prev}
        lines.append(json.dumps(event))
        prev = hashlib.sha256(lines[-1].encode()).hexdigest()
    (folder / "ledger.jsonl").write_text("".join(f"{line}\n" for line in lines))
    pack["ledger"] = f"{event['seq']}:{prev}"
    (folder / "pack.json").write_text(json.dumps(pack))


def other_key(folder: Path) -> None:
    file = next(folder.glob("signatures/*.pem"))
    der = base64.b64decode(file.read_text().splitlines()[1])
    body = base64.b64encode(der[:-32] + bytes(32)).decode()
    file.write_text(f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n")


def answer(number: int, *, text: tuple[str, str] | None = None, **evidence: object) -> Callable[[Path], None]:
    """Another wording or other evidence of one answer, in the walk alone."""

    def change(folder: Path) -> None:
        walk = json.loads((folder / "walk.json").read_text())
        found = walk["answers"][number - 1]
        before = json.dumps(found)
        found["answer"] = found["answer"].replace(*text) if text else found["answer"]
        found["evidence"] |= evidence
        assert json.dumps(found) != before
        (folder / "walk.json").write_text(json.dumps(walk))

    return change


def both(field: str, value: object) -> Callable[[Path], None]:
    """Another value in the trace, in both files that hold it."""

    def change(folder: Path) -> None:
        trace, walk = (json.loads((folder / f"{name}.json").read_text()) for name in ("trace", "walk"))
        trace[field] = walk["trace"][field] = value
        (folder / "trace.json").write_text(json.dumps(trace))
        (folder / "walk.json").write_text(json.dumps(walk))

    return change


def other_model(folder: Path) -> None:
    """An entry that the ledger does not have, in every place that names the one that answered."""
    pack = json.loads((folder / "pack.json").read_text())
    pack["entries"][0] = "f" * 64
    (folder / "pack.json").write_text(json.dumps(pack))
    both("entry_sha", "f" * 64)(folder)


def other_parent(folder: Path) -> None:
    pack = json.loads((folder / "pack.json").read_text())
    pack["entries"].append("f" * 64)
    (folder / "pack.json").write_text(json.dumps(pack))


def other_row(folder: Path) -> None:
    corpora = json.loads((folder / "corpus.json").read_text())
    corpora[1]["matched"] += 1
    (folder / "corpus.json").write_text(json.dumps(corpora))


def other_corpora(folder: Path) -> None:
    (folder / "corpus.json").write_text('[{"dvc_hash": "x", "rows": "anything"}]')


def told(number: int, text: str, status: str = "missing", **evidence: object) -> Callable[[Path], None]:
    """An answer with a text of its own, and evidence that may be none."""

    def change(folder: Path) -> None:
        walk = json.loads((folder / "walk.json").read_text())
        walk["answers"][number - 1] |= {"answer": text, "status": status, "evidence": evidence}
        (folder / "walk.json").write_text(json.dumps(walk))

    return change


def placed(**more: object) -> Callable[[Path], None]:
    """Another assignment of the request, in the trace and in the answer about it."""

    def change(folder: Path) -> None:
        trace, walk = (json.loads((folder / f"{name}.json").read_text()) for name in ("trace", "walk"))
        put = trace["assignment"] | more
        if "salt" in more:  # a forger computes what follows from it
            put["u"] = hashlib.sha256(f"{put['salt']}|{put['unit']}".encode()).hexdigest()[:16]
            put["bucket"] = int(put["u"], 16) * 10_000 >> 64
        before, after = (f"bucket {each['bucket']:,}" for each in (trace["assignment"], put))
        trace["assignment"] = walk["trace"]["assignment"] = walk["answers"][5]["evidence"] = put
        walk["answers"][5]["answer"] = walk["answers"][5]["answer"].replace(before, after)
        (folder / "trace.json").write_text(json.dumps(trace))
        (folder / "walk.json").write_text(json.dumps(walk))

    return change


def child_for_parent(folder: Path) -> None:
    """The entry that answered is said to be another one of the ledger, with its own evidence and semver."""
    pack, walk = (json.loads((folder / f"{name}.json").read_text()) for name in ("pack", "walk"))
    events = [json.loads(line)["body"] for line in (folder / "ledger.jsonl").read_text().splitlines()]
    child = next(body["sha"] for body in events if body.get("parent"))
    parent = pack["entries"][0]
    walk["answers"][7] |= {"status": "missing", "evidence": {}}
    walk["suggestion"] = ""
    walk["answers"][5]["status"] = "mismatch"
    (folder / "walk.json").write_text(json.dumps(walk))
    pack["entries"] = [child, parent]
    (folder / "pack.json").write_text(json.dumps(pack))
    both("entry_sha", child)(folder)


def other_start(folder: Path) -> None:
    pack = json.loads((folder / "pack.json").read_text())
    (folder / "pack.json").write_text(json.dumps(pack | {"before": "1" * 64}))
    rechain(folder, "no such text", "")


def younger_head(folder: Path) -> None:
    """pack.json names a head before the newest event."""
    lines = (folder / "ledger.jsonl").read_bytes().splitlines()
    pack = json.loads((folder / "pack.json").read_text())
    pack["ledger"] = f"{len(lines) - 1}:{hashlib.sha256(lines[-2]).hexdigest()}"
    (folder / "pack.json").write_text(json.dumps(pack))


def repeated(folder: Path) -> None:
    raw = (folder / "walk.json").read_text()
    (folder / "walk.json").write_text('{"suggestion": "rm -rf /", ' + raw.lstrip().removeprefix("{"))


def no_digest(folder: Path) -> None:
    """A digest that would become a part of the command that is printed."""
    digest = next(folder.glob("signatures/*.pem")).stem
    rechain(folder, digest, "x; touch pwned #")


CLAIM = "this model was approved by everybody"
FORGED: list[tuple[str, Callable[[Path], None]]] = [
    ("does not follow", edit("ledger.jsonl", '"reason":"x"', '"reason":"y"')),
    ("does not follow", cut_event),
    ("does not hold", cut_tail),
    ("is not what was named", other_tensor),
    ("make another", other_identity("tensors")),
    ("make another", other_identity("assets")),
    ("is not what was named", edit("evidence/*", '"k": 95', '"k": 99')),
    ("is not what was named", edit("evidence/*", '"payload":"', '"payload":"e30')),
    (".pae, .sig or .pem", other_key),
    ("pack disagree", edit("trace.json", '"entry_sha": "', '"entry_sha": "0')),
    ("arm is not the ledger's", edit("trace.json", '"intended_sha": "', '"intended_sha": "0')),
    ("pack disagree", edit("walk.json", REQUEST, "req-00000002")),
    ("pack disagree", edit("pack.json", REQUEST, "req-00000002")),
    ("does not hold", edit("pack.json", '"ledger": "8:', '"ledger": "6:')),
    ("cannot be read", edit("trust.json", '"keys"', '"kees"')),
    ("answer 1 does not follow", answer(1, text=("gives", "gave"), sha="f" * 64)),
    ("answer 1 does not follow", answer(1, answers_now="an answer nobody gave")),
    ("answer 3 does not follow", answer(3, text=("md5 ", "md5 0"))),
    ("answer 4 does not follow", answer(4, text=("0 of", "9 of"))),
    ("answer 4 does not follow", answer(4, matched=9)),
    ("answer 4 does not follow", other_row),
    ("cannot be read", other_corpora),
    ("answer 5 does not follow", answer(5, text=("47/", "50/"))),
    ("answer 6 does not follow", answer(6, text=("100 %", "1 %"))),
    ("answer 6 does not follow", answer(6, bucket=1)),
    ("answer 7 does not follow", answer(7, text=("passed in run", "passed in another run"))),
    ("answer 7 does not follow", answer(7, verdict={"signed": True})),
    ("answer 8 does not follow", answer(8, go_to="f" * 64)),
    ("another trace", edit("trace.json", f'"input": "{SAID}', '"input": "a sentence nobody sent')),
    ("answer 1 does not follow", both("output", "an answer nobody gave")),
    ("does not follow from the evidence", both("semver", "v9.9.9")),
    ("the ledger has no entry", other_model),
    ("other entries than those", other_parent),
    ("cannot be read", edit("ledger.jsonl", "{", "[")),
    ("answer 1 is said to be missing", told(1, CLAIM)),
    ("answer 3 is said to be missing", told(3, CLAIM)),
    ("rows that no answer speaks of", told(4, CLAIM)),
    ("answer 5 is said to be missing", told(5, CLAIM)),
    ("answer 6 does not follow", told(6, CLAIM)),
    ("answer 7 is said to be missing", told(7, CLAIM)),
    ("suggests what answer 8 does not", told(8, CLAIM)),
    ("answer 4 does not follow", answer(4, quoted=[{"row": 1, "text": "a row"}], against={"matched": 1})),
    ("cannot be read: KeyError: 'verb/fly'", answer(5, buckets={"verb/fly": {"k": 99, "n": 100}})),
    ("answer 6 does not follow", placed(salt="3")),
    ("answer 6 does not follow", placed(u="0" * 16)),
    ("answer 6 does not follow", placed(strategy="ab")),
    ("answer 6 does not follow", placed(sticky=False)),
    ("answer 8 does not follow", answer(8, entries=[])),
    ("was never promoted as", child_for_parent),
    ("follows another one", other_start),
    ("another head than the newest event", younger_head),
    ("a key is repeated", repeated),
    ("is no digest", no_digest),
]


@pytest.mark.parametrize(("told", "change"), FORGED)
def test_what_is_changed_with_its_digest_is_found_all_the_same(
    unzipped: Path, told: str, change: Callable[[Path], None]
) -> None:
    change(unzipped)
    relist(unzipped)
    done = verified(unzipped)
    assert done.returncode == 1
    assert told in done.stdout, done.stdout
    assert "SHA256SUMS lists" not in done.stdout


UNCHECKED = {
    "pack.json": set(),
    "ledger.jsonl": set(),
    "trust.json": {"schema", "keys.*.added"},  # it is compared with the committed one
    # What is not in the ledger's evidence: wording, what a model answers now, where a corpus is tracked.
    "walk.json": {
        "found", "expected", *(f"answer{n}.{part}" for n in range(1, 9) for part in ("command", "question")),
        *(f"answer{n}.answer" for n in range(1, 9) if n != 5), "answer2.evidence.day", "answer2.status",
        *(f"answer3.evidence.corpora.*.{name}" for name in ("path", "revision", "rows")),
        "answer4.evidence.elsewhere.*.path", "answer4.evidence.label",
        *(f"answer8.evidence.entries.*.{name}" for name in ("gate", "right", "says", "total.k", "total.n", "verifies")),
        "answer8.evidence.release", "answer8.evidence.verb",
    },
    "corpus.json": {"*.md5", "*.path", "*.sha256", "*.shown.*.end", "*.shown.*.file", "*.shown.*.start", "*.skipped"},
    "trace.json": pack_forger.RECORDED | {"features.length", "fields", "values"},
}  # fmt: skip
"""What the verifier reports as not checked: a lie there is not found, unless the digest of the list is given."""


@pytest.mark.long
@pytest.mark.parametrize("name", list(UNCHECKED))
def test_a_lie_about_any_value_is_found(unzipped: Path, name: str) -> None:
    assert pack_forger.unnoticed(unzipped, name) <= UNCHECKED[name]


def relist(folder: Path) -> None:
    """Make the list of files again, as a forger would."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    names = [path.relative_to(folder).as_posix() for path in files]
    sums = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(sums))


@pytest.mark.parametrize(
    ("number", "status", "evidence"),
    [
        (2, "verified", {"day": "2026-11-22"}),
        (2, "recorded", {}),
        (3, "not_checked", {"why": "offline"}),
        (5, "missing", {"why": "no report"}),
        (7, "mismatch", {"hint": "x"}),
    ],
)
def test_what_does_not_follow_from_the_evidence_is_not_printed(
    unzipped: Path, number: int, status: str, evidence: dict[str, object]
) -> None:
    told(number, CLAIM, status, **evidence)(unzipped)
    relist(unzipped)
    done = verified(unzipped)
    assert done.returncode == 0, done.stdout
    assert CLAIM not in done.stdout
    assert f"{number}: not checked, so not shown" in done.stdout
    assert f"not checked: answer {number}: it names nothing that it follows from" in done.stdout


def test_a_longer_wording_is_not_printed(unzipped: Path) -> None:
    answer(1, text=(", bytes verified", f", {CLAIM}"))(unzipped)
    relist(unzipped)
    done = verified(unzipped)
    assert (done.returncode, CLAIM in done.stdout) == (0, False)
    assert "wording" in done.stdout


def test_events_after_the_head_that_is_given_are_not_checked(unzipped: Path) -> None:
    lines = (unzipped / "ledger.jsonl").read_bytes().splitlines()
    done = verified(unzipped, f"5:{hashlib.sha256(lines[4]).hexdigest()}")
    assert done.returncode == 0
    assert "not checked: the events after #5, which no head covers" in done.stdout
    assert "which no head covers" not in verified(unzipped, f"8:{hashlib.sha256(lines[7]).hexdigest()}").stdout


def test_a_name_in_the_pack_controls_no_terminal(unzipped: Path) -> None:
    (unzipped / "x\x1b[2Jnothing is wrong").write_text("x")
    done = verified(unzipped)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout


def test_a_list_with_a_file_twice_is_found(unzipped: Path) -> None:
    sums = unzipped / "SHA256SUMS"
    sums.write_text(f"{'0' * 64}  walk.md\n{sums.read_text()}")
    assert "lists a file twice" in verified(unzipped).stdout


@pytest.mark.parametrize("policy", ["hash", "none"])
def test_under_a_policy_that_keeps_no_text_the_pack_holds_none(
    world: Path, tmp_path: Path, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "zebra crossing at midnight"
    with_text = tmp_path / "full.zip"
    if policy == "hash":  # the trace was written while the policy still kept text
        more = {"values": {"words": ["zebra"], "tense": "past"}, "fields": {"label": "zebra", "score": 0.5}}
        leave_trace(world, "req-striped-01", said, said.upper(), **more)
    assert main(["incident", "req-striped-01", "--pack", str(with_text)]) == 0
    monkeypatch.setenv("SPINE_TEXT_POLICY", policy)
    without = tmp_path / "without.zip"
    assert main(["incident", "req-striped-01", "--pack", str(without)]) == 0
    assert [b"zebra" in everything(path).lower() for path in (with_text, without)] == [True, False]
    assert b"learner-1" not in everything(without)
    with zipfile.ZipFile(without) as archive:
        archive.extractall(tmp_path / "pack")
    assert verified(tmp_path / "pack").returncode == 0


def everything(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_a_walk_with_text_is_not_packed_where_none_is_kept(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelspine.errors import Refused
    from modelspine.incident.pack import pack

    monkeypatch.setenv("SPINE_TEXT_POLICY", "none")
    with open_spine(world, readonly=True) as spine, pytest.raises(Refused, match="text policy"):
        pack(spine, spine.incident(REQUEST), "", world.parent / "never.zip")
    assert not (world.parent / "never.zip").exists()


def test_the_same_incident_is_the_same_bytes(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.zip", "b.zip"):
        assert main(["incident", REQUEST, "--json", "--pack", str(tmp_path / name)]) == 0
    told = [json.loads(line)["pack"] for line in capsys.readouterr().out.splitlines()]
    assert told[0]["sums_sha256"] == told[1]["sums_sha256"]
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_long_ledger_goes_in_from_where_it_matters(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelspine.incident.pack.WHOLE", 2)
    assert main(["incident", REQUEST, "--pack", str(tmp_path / "p.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        archive.extractall(tmp_path / "pack")
    about = json.loads((tmp_path / "pack" / "pack.json").read_text())
    assert about["from"] == 2
    assert verified(tmp_path / "pack").returncode == 0
