"""Environment variables to set before numeric libraries are imported, and the versions recorded in manifests.

With these settings every x86-64 machine with AVX2 sums in the same order, so training gives the same bits everywhere;
it takes about 50 % longer. This module does not import the libraries it pins.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

TRAINING: Final = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_CBWR": "AVX2,STRICT",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
SERVING: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""For processes that serve or evaluate: the engine requires BLAS on one thread."""


def pin(settings: dict[str, str]) -> None:
    """Set environment variables for libraries that are not imported yet.

    Raises:
        RuntimeError: such a library is already imported, so training would give other bits.
    """
    wrong = {name for name, value in settings.items() if os.environ.get(name) != value}
    loaded = [name for name in ("torch",) if name in sys.modules]
    if wrong and loaded and settings is TRAINING:
        raise RuntimeError(f"{loaded[0]} was imported before its environment was pinned ({', '.join(sorted(wrong))})")
    os.environ.update(settings)


def one_thread() -> None:
    """Limit an already loaded BLAS to one thread: for small products a second one costs more than it saves."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(limits=1, user_api="blas")


def versions(*names: str) -> dict[str, str]:
    """Return the installed versions of distributions and of Python, by name."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in names:
        # mlflow-skinny provides the same package and may be installed instead of mlflow.
        for distribution in (name, f"{name}-skinny"):
            try:
                found[name] = version(distribution)
                break
            except PackageNotFoundError:
                found[name] = "missing"
    return found


def code_version(root: Path) -> dict[str, str | bool | None]:
    """Return ``{"git_sha", "dirty"}`` of the checkout; the SHA is null without a commit or without git."""
    try:
        sha = _git(root, "rev-parse", "--verify", "HEAD").strip()
        # Drift reports are excluded: `spine drift report` writes them, and they are not code.
        changed = bool(_git(root, "status", "--porcelain", "--", ".", ":(exclude)drift_reports").strip())
    except (OSError, subprocess.SubprocessError):
        return {"git_sha": None, "dirty": True}
    return {"git_sha": sha, "dirty": changed}


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout
