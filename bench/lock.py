"""Pin every package again: resolve pyproject.toml for all platforms and write requirements.lock."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Every package the project installs, pinned: `just lock` writes it from pyproject.toml, `./run` installs it unresolved.
# torch stands without its CUDA packages: ./run takes a CPU build of it. Why a direct one is here: pyproject.toml.
"""
CUDA = re.compile(r"^(nvidia-|cuda-|triton|torch==|torch )")


def main() -> None:
    """Resolve, drop what only a CUDA build needs, write."""
    compiled = subprocess.run(
        [Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
         "--no-annotate", "--no-header", "--extra", "dev", "--extra", "bench", "pyproject.toml"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    torch = re.search(r'"(torch==[\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if torch is None:
        raise SystemExit("pyproject.toml must pin torch to one version")
    kept = [line for line in compiled if line and not CUDA.match(line)] + [torch.group(1)]
    (ROOT / "requirements.lock").write_text(HEADER + "\n".join(sorted(kept, key=str.lower)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
