"""What is installed is what the wheel lists: five packages, four entry points, nothing that stands beside them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = {
    "modelspine": "core",
    "modelspine_console": "console",
    "miniserve": "src",
    "miniobserve": "src",
    "minitutor": "src",
}
"""Import name → the folder it stands in."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_five_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == PACKAGES.keys()
    sources = {path.relative_to(ROOT / base) for base, path in _sources()}
    assert {Path(name) for name in names if name.endswith(".py")} == sources


def test_it_runs_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from modelspine import cli; assert sys.argv[1] in cli.__file__; "
        "sys.exit(cli.main(['init']))"
    )
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "installed")], cwd=tmp_path / "elsewhere", capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "elsewhere" / ".spine" / "ledger.db").is_file()


def test_entry_points(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        text = archive.read(name).decode()
    for line in (
        "spine = modelspine.cli:main",
        "[spine.workloads]",
        "[spine.commands]",
        "serve =",
        "console =",
        "demo =",
    ):
        assert line in text


def _sources() -> list[tuple[str, Path]]:
    found = []
    for package, base in PACKAGES.items():
        found += [(base, path) for path in (ROOT / base / package).rglob("*.py")]
    return found
