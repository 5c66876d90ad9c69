"""The deploying workflow holds every rule; weakened copies of it, made here from the real one, are each caught."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from prod import Prod, make_prod
from workflow_policy import PINNED, verbs, violations

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = ROOT / ".github" / "workflows"
DEPLOY = WORKFLOWS / "deploy-grammar-tutor.yml"
Doc = dict[Any, Any]
ON = True
"""How YAML 1.1 reads the key ``on``."""


def read() -> Doc:
    found: Doc = yaml.safe_load(DEPLOY.read_text())
    return found


def step(doc: Doc, verb: str, job: str = "promote") -> dict[str, Any]:
    """The step of a job that does this."""
    steps: list[dict[str, Any]] = doc["jobs"][job]["steps"]
    return steps[verbs(doc["jobs"][job]).index(verb)]


def more(line: str, verb: str, job: str = "promote") -> Callable[[Doc], None]:
    """Something added to a shell line."""
    return lambda doc: step(doc, verb, job).update(run=step(doc, verb, job)["run"] + line)


def other(before: str, after: str, verb: str, job: str = "promote") -> Callable[[Doc], None]:
    """Something else in a shell line."""

    def change(doc: Doc) -> None:
        found = step(doc, verb, job)
        assert before in found["run"]
        found["run"] = found["run"].replace(before, after)

    return change


def given(verb: str, job: str = "promote", **more: Any) -> Callable[[Doc], None]:
    """More keys on a step; an underscore stands for a hyphen."""
    return lambda doc: step(doc, verb, job).update({name.replace("_", "-"): value for name, value in more.items()})


def job(name: str, **more: Any) -> Callable[[Doc], None]:
    """More keys on a job."""
    return lambda doc: doc["jobs"][name].update({key.replace("_", "-"): value for key, value in more.items()})


def without(verb: str, name: str = "promote") -> Callable[[Doc], None]:
    """A step left out."""
    return lambda doc: doc["jobs"][name]["steps"].remove(step(doc, verb, name))


def before(verb: str, first: str, name: str = "promote") -> Callable[[Doc], None]:
    """A step moved in front of another one."""

    def change(doc: Doc) -> None:
        steps, moved = doc["jobs"][name]["steps"], step(doc, verb, name)
        steps.remove(moved)
        steps.insert(steps.index(step(doc, first, name)), moved)

    return change


def added(run: str, name: str = "promote", at: int = -1) -> Callable[[Doc], None]:
    """One more step, in front of the last one."""
    return lambda doc: doc["jobs"][name]["steps"].insert(at, {"run": run})


def uses(action: str, name: str = "promote", **given: Any) -> Callable[[Doc], None]:
    return lambda doc: doc["jobs"][name]["steps"].insert(0, {"uses": action, "with": given})


def trigger(**more: Any) -> Callable[[Doc], None]:
    return lambda doc: doc[ON].update(more)


def whole(**more: Any) -> Callable[[Doc], None]:
    return lambda doc: doc.update(more)


SHA = "0" * 40
SECRET = "${{ secrets.SPINE_LEDGER }}"
SIGNING = {"SPINE_SIGNING_KEY": "${{ secrets.SPINE_SIGNING_KEY }}"}
PROD = {"SPINE_ENV": "prod"}
PUSHED = {"if": "github.event_name == 'push'"}
TITLE = "${{ github.event.pull_request.title }}"
CHECKOUT = "actions/checkout"
WEAKENED: list[tuple[str, str, Callable[[Doc], None]]] = [
    ("continue-on-error on the gate", "a failure is passed over", given("gate REPORT", continue_on_error=True)),
    ("continue-on-error on the job", "a failure is passed over", job("promote", continue_on_error=True)),
    ("always() on promote", "a failure is passed over", given("promote", **{"if": "always()"})),
    ("!cancelled() on promote", "a failure is passed over", given("promote", **{"if": "!cancelled()"})),
    ("always() on the witness", "a failure is passed over", job("witness", **{"if": "${{ always() }}"})),
    ("|| true behind the gate", "a failure is passed over", more(" || true", "gate REPORT")),
    ("|| : behind the evaluation", "a failure is passed over", more(" || :", "evaluate SUBJECT")),
    ("; true behind the gate", "a failure is passed over", more("; true", "gate REPORT")),
    ("a pipe behind the gate", "not one plain command", more(" | tee log", "gate REPORT")),
    ("the gate in the background", "not one plain command", more(" &", "gate REPORT")),
    ("a shell that goes on", "another shell", given("gate REPORT", shell="bash {0}")),
    ("a shell that goes on, for all", "another shell", whole(defaults={"run": {"shell": "bash {0}"}})),
    ("the gate only sometimes", "a step that may be left out", given("gate REPORT", **{"if": "github.actor != 'me'"})),
    ("a step behind promote", "promoting is not last", added("./run bench", at=99)),
    ("promote before the gate", "promoting is not last", before("promote", "gate REPORT")),
    ("promote twice", "another way to move", added('.venv/bin/spine promote "$SHA" --semver "$SEMVER"')),
    ("a route beside the gate", "another way to move", added('.venv/bin/spine route single "$SHA"')),
    ("a key of its own", "another way to move", added(".venv/bin/spine keys new")),
    ("no gate", "a step is missing", without("gate REPORT")),
    ("no gate for pull requests", "a step is missing", without("gate REPORT", "gate")),
    ("no evaluation", "a step is missing", without("evaluate SUBJECT")),
    ("no check of the eval set", "a step is missing", without("evaluate --fetch")),
    ("signed before the gate", "out of order", before("gate --sign", "gate REPORT")),
    ("gated before the evaluation", "out of order", before("gate REPORT", "evaluate SUBJECT")),
    ("registered before the gate", "out of order", before("register", "gate REPORT")),
    ("evaluated once", "evaluated once", other(" --twice", "", "evaluate SUBJECT")),
    ("evaluated once for pull requests", "evaluated once", other(" --twice", "", "evaluate SUBJECT", "gate")),
    ("a raised tolerance", "a weaker gate", more(" --tolerance-pp 9", "gate REPORT")),
    ("another baseline", "a weaker gate", more(" --baseline mine.json", "gate REPORT")),
    ("another baseline by a variable", "a foreign variable", given("gate REPORT", env={"SPINE_EVAL_BASELINE": "m"})),
    ("another trust file by a variable", "a foreign variable", given("promote", env={"SPINE_TRUST": "mine.json"})),
    ("a library before every command", "a foreign variable", job("promote", env={**PROD, "BASH_ENV": "x"})),
    ("another report is gated", "another file", other(".spine/report.json", "good.json", "gate REPORT")),
    ("another report is signed", "another file", other(".spine/report.json", "good.json", "gate --sign")),
    ("another bundle is evaluated", "another file", other(".spine/candidate", "good", "evaluate SUBJECT")),
    ("another request is read", "another file", other("candidate.toml", "mine.toml", "gate --candidate")),
    ("another request for pull requests", "another file", other("candidate.toml", "m", "gate --candidate", "gate")),
    ("another folder is fetched into", "another file", other(".spine/candidate", "x", "gate --candidate")),
    ("no request", "a step is missing", without("gate --candidate")),
    ("another verdict is used", "another file", other(".spine/verdict.json", "old.json", "promote")),
    ("an action by its tag", "an action is not pinned", uses(f"{CHECKOUT}@v5", **{"persist-credentials": False})),
    ("an action by a short SHA", "an action is not pinned", uses("actions/setup-python@e797f83")),
    ("an action of the pull request", "an action is not pinned", uses("./.github/actions/mine", name="gate")),
    ("pull_request_target", "another trigger", trigger(pull_request_target={"types": ["labeled"]})),
    ("workflow_dispatch", "another trigger", trigger(workflow_dispatch={})),
    ("every branch", "another trigger", trigger(push={"branches": ["**"]})),
    ("an expression in a line", "an expression in a shell line", other('"$SHA"', "${{ github.head_ref }}", "promote")),
    ("a title in a line", "an expression in a shell line", added(f'echo "{TITLE}"', "gate")),
    ("a cache while promoting", "a cache", uses(f"actions/cache@{SHA}", path=".venv")),
    ("a cache by the back door", "a cache", uses(f"actions/setup-python@{SHA}", cache="pip")),
    ("write-all", "permissions", whole(permissions="write-all")),
    ("write-all for the gate", "permissions", job("gate", permissions="write-all")),
    ("approving itself", "permissions", job("gate", permissions={"contents": "read", "pull-requests": "write"})),
    ("approving itself by command", "not one plain command", added("gh pr review --approve", "gate")),
    ("the key and the pen in one job", "permissions", job("promote", permissions={"contents": "write"})),
    ("no permissions said", "permissions", lambda doc: doc.pop("permissions")),
    ("no environment", "no environment", lambda doc: doc["jobs"]["promote"].pop("environment")),
    ("another environment", "no environment", job("promote", environment="staging")),
    ("a secret for the pull request", "secrets for a pull request", job("gate", env={"SPINE_LEDGER": SECRET})),
    ("an environment for the pull request", "secrets for a pull request", job("gate", environment="production")),
    ("every secret", "every secret", given("promote", env={"SHA": "${{ toJSON(secrets) }}"})),
    ("the key for every step", "the key is shown around", job("promote", env={**PROD, **SIGNING})),
    ("the key for the install", "the key is shown around", given("./run", env=SIGNING)),
    ("a pull request that promotes", "not one job that promotes", added('.venv/bin/spine promote x', "gate", at=99)),
    ("a pull request that registers", "a pull request that writes", added('.venv/bin/spine register x', "gate")),
    ("a pull request on our runner", "a pull request on our own runner", job("gate", runs_on=["self-hosted"])),
    ("any branch may promote", "not from the protected branch", job("promote", **PUSHED)),
    (
        "or somebody in particular", "not from the protected branch",
        lambda doc: doc["jobs"]["promote"].update({"if": doc["jobs"]["promote"]["if"] + " || github.actor == 'me'"}),
    ),
    ("the pull request's head", "other code is checked out", lambda doc: step(doc, CHECKOUT)["with"].update(ref="x")),
    ("credentials are kept", "credentials are kept", lambda doc: step(doc, CHECKOUT).pop("with")),
    ("opened as dev", "not opened as prod", job("promote", env={"SPINE_ENV": "dev"})),
    ("no concurrency", "no concurrency group", lambda doc: doc.pop("concurrency")),
    ("no timeout", "no timeout", lambda doc: doc["jobs"]["promote"].pop("timeout-minutes")),
    ("no witness", "no witness", lambda doc: doc["jobs"].pop("witness")),
    ("no look at the witness", "no witness", without("verify")),
    ("a witness of nothing", "no witness", lambda doc: doc["jobs"]["witness"].pop("needs")),
    ("reached too late", "reached too late", without("info")),
    ("no merge queue", "a merge queue waits for ever", lambda doc: doc[ON].pop("merge_group")),
    ("torch beside the key", "a package without a hash", lambda doc: step(doc, "./run").pop("env")),
    ("torch for the witness", "a package without a hash", given("./run witness", "witness", env={})),
    ("a matrix of candidates", "more than steps", job("promote", strategy={"matrix": {"sha": ["a", "b"]}})),
]  # fmt: skip


def test_the_workflow_holds_every_rule() -> None:
    assert violations(read()) == set()


@pytest.mark.parametrize(("rule", "weaken"), [w[1:] for w in WEAKENED], ids=[w[0] for w in WEAKENED])
def test_a_weakened_workflow_is_caught_by_name(rule: str, weaken: Callable[[Doc], None]) -> None:
    doc = copy.deepcopy(read())
    weaken(doc)
    assert doc != read(), "nothing was weakened"
    assert rule in violations(doc)


def test_every_weakened_copy_is_another_one() -> None:
    assert len({name for name, _, _ in WEAKENED}) == len(WEAKENED)
    assert len(WEAKENED) >= 15


@pytest.mark.parametrize("file", sorted(WORKFLOWS.glob("*.yml")), ids=lambda file: file.name)
def test_every_action_is_pinned_and_says_its_version(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if re.search(r"^\s*(- )?uses:", line)]
    assert lines
    for line in lines:
        action, _, comment = line.partition("uses:")[2].partition("#")
        assert PINNED.fullmatch(action.strip()), line
        assert re.fullmatch(r" v\d+\.\d+\.\d+", comment), line


def test_zizmor_finds_nothing() -> None:
    beside = Path(sys.executable).with_name("zizmor")
    zizmor = str(beside) if beside.is_file() else shutil.which("zizmor")
    if zizmor is None:
        pytest.skip("zizmor is not installed")
    words = [zizmor, "--offline", "--no-progress", "--persona", "pedantic", str(DEPLOY)]
    found = subprocess.run(words, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    found = subprocess.run(
        [zizmor, "--offline", "--no-progress", str(ROOT / ".github")], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout + found.stderr


SIGN = """
import sys, json
from modelspine.cli import main
assert main(["verify"]) == 5, "one of its entries is corrupt"
assert main(["gate", sys.argv[1], "--sign", "--key", "ci.pem", "--out", "verdict.json"]) == 0
assert main(["promote", sys.argv[1], "--semver", "v9.9.9", "--reason", "x", "--verdict", "verdict.json"]) == 0
print(json.dumps([name for name, module in sys.modules.items() if getattr(module, "__file__", None)]))
"""


def loaded_by_signing(prod: Prod) -> set[str]:
    """The files of this project that a process loads which checks a ledger, signs a verdict and promotes on it."""
    (prod.root / "ci.pem").write_text(prod.key.pem())
    words = [sys.executable, "-c", SIGN, prod.entries["good"]]
    done = subprocess.run(words, cwd=prod.root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = set()
    for name in json.loads(done.stdout.splitlines()[-1]):
        base = {"modelspine": "core", "miniobserve": "src", "minitutor": "src"}.get(name.split(".")[0])
        if base is not None:
            path = Path(base, *name.split("."))
            found.add(f"{path}/__init__.py" if (ROOT / path).is_dir() else f"{path}.py")
    return found


def covers(rule: str, name: str) -> bool:
    """Whether a line of CODEOWNERS owns a file; ``*`` stays inside one folder, as it does there."""
    if rule.endswith("/"):
        return name.startswith(rule)
    return rule.count("/") == name.count("/") and fnmatch(name, rule)


def test_what_decides_has_an_owner(tmp_path: Path) -> None:
    prod = make_prod(tmp_path / "prod")
    lines = [line.split() for line in (ROOT / ".github" / "CODEOWNERS").read_text().splitlines()]
    owned = [words[0].lstrip("/") for words in lines if len(words) > 1 and not words[0].startswith("#")]
    decides = {"eval_baseline.json", "spine.trust.json", "candidate.toml", ".github/CODEOWNERS", "Justfile", "run"}
    # The first two may say where the trust file and the baseline are.
    decides |= {"spine.toml", "pyproject.toml", "core/modelspine/settings.py"}
    decides |= {f".github/workflows/{file.name}" for file in WORKFLOWS.iterdir()}
    decides |= {f"src/minitutor/{name}.py" for name in ("workload", "evaluate", "engine", "decode", "tokenizer")}
    decides |= loaded_by_signing(prod)
    assert len(decides) > 60
    # What is installed, and a file that is not there yet: a build reads setup.py, and uv reads uv.toml.
    decides |= {f"{package}/new/module.py" for package in packages()}
    decides |= {
        "setup.py",
        "uv.toml",
        "pip.conf",
        ".gitattributes",
        "conftest.py",
        ".dvc/config.local",
        "console/x.pth",
    }
    tracked = subprocess.check_output(["git", "ls-files", *packages(), ".ci"], cwd=ROOT, text=True).split()
    for name in {*decides, *tracked}:
        assert any(covers(rule, name) for rule in owned), f"{name} has no owner"
    for rule in owned:
        assert list(ROOT.glob(rule)), f"{rule} owns nothing"
    assert all(words[1:] for words in lines if words and not words[0].startswith("#")), "a line without an owner frees"


def packages() -> list[str]:
    """The folders that the wheel is made of."""
    found: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]["packages"]
    return found


def test_without_torch_every_package_has_a_hash() -> None:
    """What ./run installs with TORCH=none is what the lock names, all but torch."""
    blocks = re.findall(
        r"^([a-zA-Z0-9._-]+)==\S+.*((?:\n    --hash.*)*)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert len(blocks) > 100
    assert [name for name, hashes in blocks if not hashes] == ["torch"]
    script = (ROOT / "run").read_text()
    installs = [line for line in script.splitlines() if re.search(r"\bpip install\b", line)]
    unhashed = [line for line in installs if "--require-hashes" not in line]
    assert len(installs) == 5
    assert all("$torch" in line or "--no-build-isolation" in line for line in unhashed), unhashed
