"""``spine workload new``: the package that it writes installs, is found by its name, and its own test passes."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from cli_world import check_refused, run
from modelspine.spine import open_spine

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The Python of an environment of its own, which sees this one's packages without being able to change them."""
    folder = tmp_path_factory.mktemp("scratch") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    paths = dict.fromkeys(path for path in (*sys.path, sysconfig.get_path("purelib")) if Path(path).is_dir())
    purelib = next(folder.glob("lib/python*/site-packages"))
    (purelib / "this_environment.pth").write_text("".join(f"{path}\n" for path in paths))
    return str(folder / "bin" / "python")


@pytest.mark.long
def test_the_package_installs_and_its_test_passes(tmp_path: Path, python: str, capsys: Capture) -> None:
    folder = tmp_path / "my-tickets"
    made = run(capsys, "workload", "new", "my-tickets", "--dir", str(folder), "--json")
    assert made.json["files"] == ["pyproject.toml", "my_tickets.py", "test_my_tickets.py", "README.md"]
    uv = str(Path(sys.executable).with_name("uv"))
    install = [uv, "pip", "install", "--quiet", "--python", python, "--no-deps", "--no-build-isolation", "--offline"]
    subprocess.run([*install, str(folder)], check=True)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_toy_becomes_an_entry(project: Path, capsys: Capture) -> None:
    """The README's steps: the module makes a bundle and an eval set, and the bundle is registered with its report."""
    run(capsys, "workload", "new", "toy", "--dir", str(project / "toy"))
    subprocess.run([sys.executable, str(project / "toy" / "toy.py")], cwd=project, check=True)
    assert run(capsys, "register", str(project / "bundle"), root=project).code == 0
    with open_spine(project, readonly=True) as spine:
        (entry,) = spine.registry.list()
        report = spine.registry.get(entry.sha).eval_report
    assert report is not None
    assert (entry.variant, report.total, len(report.buckets)) == ("toy", report.total, 4)
    assert json.loads((project / "bundle" / "config.json").read_text())["architecture"] == "naive Bayes"


def test_nothing_that_exists_is_written_over(tmp_path: Path, capsys: Capture) -> None:
    kept = tmp_path / "mine" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("notes")
    check_refused(run(capsys, "workload", "new", "mine", "--dir", str(kept.parent)), 2)
    check_refused(run(capsys, "workload", "new", "mine", "--dir", str(kept)), 2)
    assert [file.name for file in kept.parent.iterdir()] == ["notes.txt"]
    assert kept.read_text() == "notes"


@pytest.mark.parametrize("name", ["", "-x", "json", "class", "modelspine", "Upper", "a/b", "..", "a" * 41, "\x1b[31m"])
def test_what_cannot_name_a_package(tmp_path: Path, capsys: Capture, name: str) -> None:
    refused = run(capsys, "workload", "new", "--dir", str(tmp_path / "x"), "--", name)
    check_refused(refused, 2)
    assert "\x1b" not in refused.err
    assert not (tmp_path / "x").exists()
