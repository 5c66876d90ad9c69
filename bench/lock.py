"""Pin every package again, for all platforms: requirements.lock from pyproject.toml, bench/peers.lock beside it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
PEERS = ROOT / "bench" / "peers.lock"
HEADER = """\
# Every package the project installs, pinned: `just lock` writes it from pyproject.toml, `./run` installs it unresolved.
# torch stands without its CUDA packages: ./run takes a CPU build of it. Why a direct one is here: pyproject.toml.
"""
PEERS_HEADER = """\
# What the bench's peers need beyond requirements.lock, pinned beside it by `just lock`; bench/peers.py installs it.
"""
CUDA = re.compile(r"^(nvidia-|cuda-|triton|torch==|torch )")


def main() -> None:
    """Resolve, drop what only a CUDA build needs, write; then what the peers add."""
    torch = re.search(r'"(torch==[\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if torch is None:
        raise SystemExit("pyproject.toml must pin torch to one version")
    own = [*_resolved("--extra", "dev", "--extra", "bench"), torch.group(1)]
    _write(LOCK, HEADER, own)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as pins:
        pins.write("\n".join(line for line in own if not line.startswith("pandas==")))
        pins.flush()
        every = _resolved("--extra", "peers", "--constraint", pins.name)
    _write(PEERS, PEERS_HEADER, set(every) - set(own))


def _resolved(*words: str) -> list[str]:
    compiled = subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
         "--no-annotate", "--no-header", *words, "pyproject.toml"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return [line for line in compiled if line and not CUDA.match(line)]


def _write(path: Path, header: str, lines: list[str] | set[str]) -> None:
    path.write_text(header + "\n".join(sorted(lines, key=str.lower)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
