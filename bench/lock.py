"""Pins every package with hashes for all platforms in requirements.lock, the bench's peers in bench/peers.lock, and
the S3 server of the tests in tests/s3.lock.

A pin that still satisfies the requirements stays; ``--upgrade`` takes the newest version of every package.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PEERS = ROOT / "bench" / "peers.lock"
S3 = ROOT / "tests" / "s3.lock"
S3_SERVER = ["moto[s3]>=5.2,<6", "flask>=3.1,<4", "flask-cors>=6,<7"]
"""Not moto's extra ``server``, which brings ten times as much for services that no test uses."""
HEADER = """\
# Every package the project installs, pinned with its hashes: `just lock` writes it from pyproject.toml, `./run`
# installs it unresolved and checks them. Why a direct one is here: pyproject.toml.
# torch alone has no hash and none of its CUDA packages: its CPU builds come from several indexes, each with bytes
# of its own, so ./run installs it first and by its version.
"""
PEERS_HEADER = """\
# What the bench's peers need beyond requirements.lock, pinned beside it by `just lock`; bench/peers.py installs it.
"""
S3_HEADER = """\
# The S3 server that tests start, pinned by `just lock`; ./run installs it into a venv of its own, .venv/s3.
"""
CUDA = re.compile(r"^(nvidia-|cuda-|triton)")


def main() -> None:
    """Resolve, drop the packages that only CUDA builds need, and write; then do the same for peers and S3 server."""
    own = _resolved(LOCK, "--extra", "all", "--extra", "dev", "--extra", "bench")
    _write(LOCK, HEADER, own)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.write("\n".join(line for line in own if not line.startswith("pandas==")))
        pins.flush()
        every = _resolved(PEERS, "--extra", "all", "--extra", "peers", "--constraint", pins.name)
    _write(PEERS, PEERS_HEADER, {line: hashes for line, hashes in every.items() if line not in own})
    with tempfile.NamedTemporaryFile("w", suffix=".in") as wanted:
        wanted.write("\n".join(S3_SERVER))
        wanted.flush()
        _write(S3, S3_HEADER, _resolved(S3, source=wanted.name))


def _resolved(lock: Path, *words: str, source: str = "pyproject.toml") -> dict[str, list[str]]:
    """Return each requirement with its marker → its hashes; torch has none, so that every build is accepted."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / lock.name  # uv prefers the pins in an existing output file
        if lock.exists():
            shutil.copy(lock, file)
        uv = [Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet"]
        how = [
            "--universal",
            "--python-version",
            "3.11",
            "--generate-hashes",
            "--no-annotate",
            "--no-header",
            "--output-file",
            file,
        ]
        subprocess.run([*uv, *how, *sys.argv[1:], *words, source], cwd=ROOT, check=True)
        text = file.read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for block in re.findall(r"^\S.*(?:\n .*)*", text, re.MULTILINE):
        line, *hashes = block.replace(" \\\n", "\n").splitlines()
        if line.startswith("torch=="):
            found[re.match(r"torch==[\d.]+", line)[0]] = []  # type: ignore[index]
        elif not line.startswith("#") and not CUDA.match(line):
            found[line] = hashes
    return found


def _write(path: Path, header: str, pinned: dict[str, list[str]]) -> None:
    blocks = [" \\\n".join([line, *pinned[line]]) for line in sorted(pinned, key=str.lower)]
    path.write_text(header + "\n".join(blocks) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
