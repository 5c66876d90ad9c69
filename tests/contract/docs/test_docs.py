"""What is written down is what is there: README, Justfile, run, pictures, file sizes."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import msgspec
import pytest

from minitutor.workload import Minitutor
from modelspine.cli.verbs import SHORT, VERBS
from modelspine.gate.baseline import Excluded
from modelspine.incident.finding import QUESTIONS
from modelspine_console.keymap import key_table

ROOT = Path(__file__).resolve().parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
MOST_LINES = 300
CORE = ROOT / "core" / "modelspine"
MOST_RECIPES = 15


def test_readme_has_the_two_commands() -> None:
    assert "./run demo" in README
    assert "./run test" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    for target in targets:
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_verb_that_is_named_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`spine ([a-z]+)", text)) | set(re.findall(r"^\$ spine ([a-z]+)", text, re.MULTILINE))
    assert named <= {*VERBS, *SHORT, "serve", "collect", "watch", "console", "demo"}


def test_readme_asks_the_eight_questions_of_a_walk() -> None:
    assert tuple(re.findall(r"^\| [1-8] \| ([^|]+) \|", README, re.MULTILINE)) == QUESTIONS


def test_readme_asks_the_tutor_where_it_answers() -> None:
    asked = README.split("curl -s localhost:8080")[1]
    path, body = asked.split()[0], json.loads(re.findall(r"-d '(.*?)'", asked)[0])
    assert (path, list(body)) == (Minitutor.http_path, [Minitutor.text_field])


def test_the_example_of_an_excluded_floor_is_one_that_a_baseline_takes() -> None:
    block = (ROOT / "docs" / "TRAFFIC.md").read_text(encoding="utf-8").split("```json\n")[1].split("```")[0]
    found = msgspec.convert(json.loads(f"{{{block}}}")["floor_excludes"], list[Excluded], strict=True)
    assert [bool(each.entry_sha and each.reason) for each in found] == [True]


@pytest.mark.parametrize("page", ["README.md", "docs/README.md", "docs/SECURITY.md"])
def test_the_audit_is_linked(page: str) -> None:
    assert "AUDIT.md)" in (ROOT / page).read_text(encoding="utf-8")


def test_every_module_of_the_tutor_that_is_named_exists() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = page.split("## Who owns what in `src/minitutor/`")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    assert len(named) > 30
    assert [name for name in named if not (ROOT / "src" / "minitutor" / f"{name}.py").is_file()] == []


def test_every_module_of_core_has_its_line() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = page.split("## Who owns what")[1].split("\n## ")[0]
    named, package = [], ""
    for line in table.splitlines()[6:]:
        cells = line.split("|")
        if line.startswith("| `"):
            package = cells[1].strip(" `") + "/"
        modules = re.findall(r"`([a-z_]+)`", cells[2]) if len(cells) > 2 else []
        named += [name if (CORE / f"{name}.py").is_file() else package + name for name in modules]
    there = {file.relative_to(CORE).with_suffix("").as_posix() for file in CORE.rglob("*.py")}
    assert sorted(named) == sorted(name for name in there if not name.endswith("__init__") and "cli/" not in name)


def test_every_module_of_the_server_has_its_line() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = page.split("## Who owns what in `src/miniserve/`")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    assert sorted(named) == sorted(
        file.stem for file in (ROOT / "src" / "miniserve").glob("*.py") if file.stem != "__init__"
    )


def test_what_core_takes_from_the_traces_is_named() -> None:
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = page.split("`core` takes from `miniobserve`")[1].split("`minitutor`")[0]
    taken = {
        name
        for file in (ROOT / "core").rglob("*.py")
        for name in re.findall(r"from miniobserve\.(\w+)[\w.]* import", file.read_text(encoding="utf-8"))
    }
    assert taken == {name.removeprefix("miniobserve.") for name in re.findall(r"`([a-z_.]+)`", named)}


def test_readme_lists_the_keys_there_are() -> None:
    """The table between the marks is the console's table of actions."""
    table = README.split("<!-- keys -->")[1].split("<!-- /keys -->")[0].strip()
    assert table == key_table().strip()


def test_justfile_recipes_are_few_and_each_is_explained() -> None:
    lines = (ROOT / "Justfile").read_text(encoding="utf-8").splitlines()
    recipes = [n for n, line in enumerate(lines) if re.match(r"^[a-z_][a-z0-9_-]*( [^:=]*)?:([^=]|$)", line)]
    assert 0 < len(recipes) <= MOST_RECIPES
    for n in recipes:
        assert lines[n - 1].startswith("# "), lines[n]


def test_run_is_posix_shell() -> None:
    text = (ROOT / "run").read_text(encoding="utf-8")
    assert text.startswith("#!/bin/sh\n")
    assert len(text.splitlines()) <= 60
    subprocess.run(["sh", "-n", str(ROOT / "run")], check=True)
    assert "[[" not in text


@pytest.mark.parametrize(
    "written", [".spine/ledger.db", "drift_reports/2026-11-22.json", ".venv/bin/python", "demo/spine.trust.json"]
)
def test_git_ignores_what_the_demo_writes(written: str, tmp_path: Path) -> None:
    """The ledger holds a day's drift report; the file is a copy for people, made again by `spine drift report`."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text((ROOT / ".gitignore").read_text(encoding="utf-8"))
    assert subprocess.run(["git", "-C", str(tmp_path), "check-ignore", "-q", written]).returncode == 0


def test_the_list_of_long_tests_names_files() -> None:
    """A file that was renamed would silently go back to the suite that people wait for."""
    conftest = ast.parse((ROOT / "tests" / "conftest.py").read_text(encoding="utf-8"))
    (long,) = [n.value for n in conftest.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "LONG"]
    names = ast.literal_eval(long)
    assert len(names) > 20
    files = [file.as_posix() for file in (ROOT / "tests").rglob("test_*.py")]
    assert [name for name in names if sum(file.endswith(f"/{name}") for file in files) != 1] == []


def test_ci_runs_what_the_readme_says() -> None:
    assert {"./run test ", "./run test-long "} <= set(re.findall(r"\./run test\S* ", README))
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert {"./run lint", "./run test", "./run test-long"} <= {line.partition(" || ")[0] for line in lines}
    assert ".ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["requirements.lock", "bench/peers.lock", "tests/s3.lock"])
def test_the_lock_names_no_local_path_and_no_cuda(name: str) -> None:
    lock = (ROOT / name).read_text(encoding="utf-8")
    requirements = [line for line in lock.splitlines() if line and not line.startswith(("#", " "))]
    assert all(re.match(r"^[A-Za-z0-9._-]+==[^ @]+( ; [^;]+)?$", line.removesuffix(" \\")) for line in requirements)
    assert not re.search(r"nvidia|cuda|triton|file:", "\n".join(requirements))


@pytest.mark.parametrize("name", ["requirements.lock", "bench/peers.lock", "tests/s3.lock"])
def test_every_pin_but_torch_has_hashes(name: str) -> None:
    lock = (ROOT / name).read_text(encoding="utf-8")
    pins = re.findall(r"^[A-Za-z0-9].*(?:\n .*)*", lock, re.MULTILINE)
    assert len(pins) > 10
    bare = [pin for pin in pins if not re.fullmatch(r"\S+( ; [^\\]+)?( \\\n    --hash=sha256:[0-9a-f]{64})+", pin)]
    assert all(pin.startswith("torch==") for pin in bare), bare
    assert "--require-hashes -r -" in (ROOT / "run").read_text(encoding="utf-8")


def test_only_the_bench_installs_the_peers() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    peers = {re.split(r"[<>=]", line)[0] for line in told["project"]["optional-dependencies"]["peers"]}
    pinned = {line.split("==")[0] for line in (ROOT / "bench" / "peers.lock").read_text(encoding="utf-8").splitlines()}
    everyone = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()}
    assert peers <= pinned
    assert peers & everyone == {"pandas"}, "MLflow has pandas too, in another version"


def test_every_direct_dependency_says_why_it_is_here() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    requirements = [line for line in lines if re.match(r'^    "[a-z0-9-]+(\[[a-z]+\])?[<>=]', line)]
    assert len(requirements) > 10
    assert [line for line in requirements if "#" not in line] == []


def test_pictures_are_of_this_console() -> None:
    """`just shots` writes the digest of the sources it drew; a console that changed since has stale pictures."""
    written = (ROOT / "docs" / "img" / "SOURCES").read_text(encoding="utf-8").strip()
    assert written == console_digest()
    for name in re.findall(r"docs/img/([a-z-]+\.svg)", README):
        assert "<svg" in (ROOT / "docs" / "img" / name).read_text(encoding="utf-8")[:200]


def console_digest() -> str:
    digest = hashlib.sha256()
    scripts = [ROOT / "bench" / "recording.py", ROOT / "bench" / "shots.py"]
    for file in [*sorted((ROOT / "console").rglob("*.py")), *scripts]:
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def test_files_and_functions_stay_readable() -> None:
    long = []
    for folder in ("core", "console", "src"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            if len(text.splitlines()) > MOST_LINES:
                long.append(f"{file}: {len(text.splitlines())} lines")
            for node in ast.walk(ast.parse(text)):
                if (
                    isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
                    and (node.end_lineno or 0) - node.lineno > 59
                ):
                    long.append(f"{file}: {node.name}")
                if isinstance(node, ast.Module) and not ast.get_docstring(node):
                    long.append(f"{file}: no docstring")
    assert long == []
