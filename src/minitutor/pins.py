"""Environment that must stand before a numeric library is imported, and the versions written into manifests.

With these settings every x86-64 machine with AVX2 sums in the same order, so training gives the same
bits; they cost about half as much time again. It does not import what it pins.
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
"""For processes that answer or evaluate: the engine expects BLAS on one thread."""


def pin(settings: dict[str, str]) -> None:
    """Set variables for libraries not yet imported.

    Too late for one that is: ``RuntimeError`` names it, rather than training with other bits.
    """
    wrong = {name for name, value in settings.items() if os.environ.get(name) != value}
    loaded = [name for name in ("torch",) if name in sys.modules]
    if wrong and loaded and settings is TRAINING:
        raise RuntimeError(f"{loaded[0]} was imported before its environment was pinned ({', '.join(sorted(wrong))})")
    os.environ.update(settings)


def one_thread() -> None:
    """Hold BLAS, loaded already, to one thread: small products lose more to a second one than they gain."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    threadpool_limits(limits=1, user_api="blas")


def versions(*names: str) -> dict[str, str]:
    """Installed versions of distributions, by name, with Python's."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in names:
        # MLflow's light distribution serves as well, and installs the same package.
        for distribution in (name, f"{name}-skinny"):
            try:
                found[name] = version(distribution)
                break
            except PackageNotFoundError:
                found[name] = "missing"
    return found


def code_version(root: Path) -> dict[str, str | bool | None]:
    """``{"git_sha", "dirty"}`` of the checkout; null SHA where there is no commit or no git."""
    try:
        sha = _git(root, "rev-parse", "--verify", "HEAD").strip()
        # `spine drift report` writes there, and a report is no code.
        changed = bool(_git(root, "status", "--porcelain", "--", ".", ":(exclude)drift_reports").strip())
    except (OSError, subprocess.SubprocessError):
        return {"git_sha": None, "dirty": True}
    return {"git_sha": sha, "dirty": changed}


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout
