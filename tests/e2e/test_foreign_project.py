"""In a project with folders of our names: every verb, the console, the server and each process they start.

``core`` and ``console`` stand in the working directory, on PYTHONPATH and among the installed distributions. Folders
with the import names themselves stand in the working directory, where no command and no child of one looks.
Whoever imports one of them ends at once with a code that nothing else has.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bundles import write_bundle
from cli_world import REQUEST, make_world
from miniobserve.traces import Trace
from modelspine.cli.parser import Parser
from modelspine.cli.verbs import full_parser
from modelspine.spine import open_spine
from shout_server import HERE as SHOUT
from shout_server import add_entry, make_project, open_project
from terminal import Terminal

SPINE = str(Path(sys.executable).with_name("spine"))
ECHO = Path(__file__).parents[1] / "fixtures" / "echo"
OURS = ("modelspine", "modelspine_console", "miniserve", "miniobserve", "minitutor")
IMPORTED = 97
TRAP = f"import os, sys\nsys.stderr.write(__file__ + ' was imported')\nsys.stderr.flush()\nos._exit({IMPORTED})\n"

EVERY_HELP = """
import contextlib, io, json, sys
from modelspine.cli import main
found = []
for way in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main([*way, "--help"])
    found.append((code, said.getvalue()))
print(json.dumps(found))
"""


def verbs(parser: Parser, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every verb there is, with its family."""
    for name, (_, nested) in parser.verbs.known.items() if parser.verbs is not None else ():
        yield (*way, name)
        yield from verbs(nested, (*way, name))


def trap(folder: Path, *names: str) -> Path:
    """Packages that must not be imported, with modules that ours have too."""
    for name in names:
        for module in ("__init__", "cli", "spine", "command", "app", "errors", "text"):
            file = folder / name / f"{module}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(TRAP)
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """The environment of the processes: a path on which another service is installed, with a core and a console."""
    site = trap(tmp_path / "site", "core", "console")
    about = site / "other_service-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: other-service\nVersion: 1.0\n")
    (about / "top_level.txt").write_text("core\nconsole\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(site), str(ECHO))), "SPINE_WORKLOAD": "echo"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Another service's checkout."""
    root = trap(tmp_path / "service", "core", "console", *OURS)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def run(root: Path, environ: dict[str, str], *words: str) -> str:
    done = subprocess.run([SPINE, *words], cwd=root, env=environ, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout


def test_the_trap_shuts(root: Path, environ: dict[str, str]) -> None:
    for program in ("import core", "import modelspine.cli", "from console import app"):
        done = subprocess.run([sys.executable, "-c", program], cwd=root, env=environ, capture_output=True, text=True)
        assert done.returncode == IMPORTED, program


def test_every_verb_says_what_it_is(root: Path, environ: dict[str, str], tmp_path: Path) -> None:
    ways = list(verbs(full_parser()))
    assert {("init",), ("serve",), ("console",), ("route", "canary"), ("corpus", "grep")} <= set(ways)
    # One process for all of them. It runs a file, as the installed command is one: Python puts the file's folder on
    # its path, and not the working directory.
    (tmp_path / "every_help.py").write_text(EVERY_HELP)
    command = [sys.executable, str(tmp_path / "every_help.py"), json.dumps(ways)]
    done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    for way, (code, said) in zip(ways, json.loads(done.stdout), strict=True):
        assert code == 0, way
        assert f"usage: spine {' '.join(way)}" in said


def test_from_init_to_a_walk(root: Path, environ: dict[str, str], tmp_path: Path) -> None:
    run(root, environ, "init")
    assert json.loads(run(root, environ, "list", "--json"))["entries"] == []
    shas = [json.loads(run(root, environ, "register", str(write_bundle(tmp_path / f"bundle-{n}", n)), "--json"))["sha"]
            for n in (1, 2)]  # fmt: skip
    with open_spine(root) as spine:
        spine.artifacts.put(
            write_bundle(tmp_path / "run", 3), experiment="e", name="n", tags={}
        )  # makes MLflow's store
    mirrored = {**environ, "SPINE_MIRROR": "other-service"}  # a process of its own, with MLflow in it
    for number, sha in enumerate(shas):
        words = ("promote", sha, "--semver", f"v1.{number}.0", "--reason", "x", "--override-gate", "--json")
        (warning,) = json.loads(run(root, mirrored if number else environ, *words))["warnings"]
        assert warning.startswith("load not checked"), "and nothing of the mirror"
    run(root, environ, "route", "single", shas[1], "--reason", "x")
    run(root, environ, "rollback", shas[0], "--reason", "x")
    for words in (["show", shas[0]], ["lineage", "production"], ["history"], ["verify"], ["info"], ["route", "show"]):
        run(root, environ, *words)
    with open_spine(root, readonly=True) as spine:
        assert spine.registry.state().production == shas[0]


def test_an_incident_is_walked_and_a_corpus_searched(environ: dict[str, str], tmp_path: Path) -> None:
    """The search is a process of its own, which a pattern that never ends does not outlive."""
    world = make_world(tmp_path / "world")
    trap(world.root, "core", "console", *OURS)
    found = json.loads(run(world.root, environ, "incident", REQUEST, "--json"))
    assert [answer["status"] for answer in found["answers"]][3] == "verified"
    assert "WENT" in run(world.root, environ, "corpus", "grep", "v0.2.0", "WENT")


def test_the_console_opens_and_is_left(root: Path, environ: dict[str, str]) -> None:
    run(root, environ, "init")
    console = Terminal("--screen", "ledger", root=root, **environ)
    try:
        console.until("opened")
        console.press("q")
        assert console.ended() == 0
        assert console.given_back()
    finally:
        console.close()


def test_the_server_answers_and_so_does_its_shadow(root: Path, environ: dict[str, str]) -> None:
    make_project(root)
    with open_project(root) as spine:
        add_entry(spine, 1)
        other = add_entry(spine, 2, promoted=False)
        spine.routing.shadow(other, reason="what would it say?")
        path = os.pathsep.join((environ["PYTHONPATH"], str(SHOUT)))
        server = subprocess.Popen(
            [SPINE, "serve", "--port", "0"], cwd=root, env={**environ, "PYTHONPATH": path, "SPINE_WORKLOAD": "shout"},
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            url = line.split("http://")[1].split()[0]
            assert httpx.post(f"http://{url}/v1/shout", json={"text": "hello"}).json()["correction"] == "1:HELLO"
            end, found = time.monotonic() + 20, list[Trace]()
            while not found:
                assert time.monotonic() < end, "no copy was answered"
                time.sleep(0.1)
                found = [trace for trace in spine.traces.list(limit=10).traces if trace.shadow_of]
            assert (found[0].entry_sha, found[0].error) == (other, "")
        finally:
            server.terminate()
            assert server.wait(15) == 0
            if server.stdout is not None:
                server.stdout.close()
