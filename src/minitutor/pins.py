"""Environment variables to set before numeric libraries are imported, and the versions recorded in manifests.

With these settings every x86-64 machine with AVX2 sums in the same order, so training gives the same bits everywhere;
it takes about 50 % longer. This module does not import the libraries it pins.
"""

from __future__ import annotations

import hashlib
import os
import stat
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
_SHA1_DIGITS = 40
"""Length of an object's name in a repository that does not use SHA-256."""
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
        sha = _git(root, "rev-parse", "--verify", "HEAD").decode().strip()
        return {"git_sha": sha, "dirty": _is_dirty(root)}
    except (OSError, subprocess.SubprocessError):
        return {"git_sha": None, "dirty": True}


def _is_dirty(root: Path) -> bool:
    """Whether a file below a folder is new, missing or other than in the commit.

    ``git status`` would run filters and file monitors that the repository names, so the files are hashed here.
    """
    # Drift reports are excluded: `spine drift report` writes them, and they are not code.
    for line in _git(root, "ls-tree", "-r", "-z", "HEAD").split(b"\0"):
        entry, _, name = line.partition(b"\t")
        mode, kind, digest = entry.split() if entry else (b"", b"", b"")
        is_code = kind == b"blob" and not name.startswith(b"drift_reports/")
        if is_code and _blob(root / os.fsdecode(name), mode, len(digest)) != digest.decode():
            return True
    new = ("ls-files", "-z", "--others", "--exclude-standard", "--", ".", ":(exclude)drift_reports")
    return bool(_git(root, *new))


def _blob(file: Path, mode: bytes, digits: int) -> str:
    """The name that git gives to a file's content; empty where it is no file of this mode."""
    try:
        found = file.lstat().st_mode
        if stat.S_ISLNK(found) != (mode == b"120000") or not (stat.S_ISLNK(found) or stat.S_ISREG(found)):
            return ""
        if stat.S_ISREG(found) and bool(found & stat.S_IXUSR) != (mode == b"100755"):
            return ""
        raw = os.fsencode(file.readlink()) if stat.S_ISLNK(found) else file.read_bytes()
    except OSError:
        return ""
    digest = hashlib.sha1(usedforsecurity=False) if digits == _SHA1_DIGITS else hashlib.sha256()
    digest.update(b"blob %d\0" % len(raw) + raw)
    return digest.hexdigest()


def _git(root: Path, *words: str) -> bytes:
    """What git says of the repository above a folder, which neither names programs nor is another one by a variable."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    paths = [path for path in environ.get("PATH", os.defpath).split(os.pathsep) if Path(path).is_absolute()]
    top = next((each for each in (root.resolve(), *root.resolve().parents) if (each / ".git").exists()), root.resolve())
    pinned = ["--no-replace-objects", "--no-optional-locks", "--work-tree", str(top)]
    off = ["-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}", "-c", "core.sshCommand=false"]
    fixed = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "PATH": os.pathsep.join(paths)}
    fixed["GIT_CEILING_DIRECTORIES"] = str(top.parent)
    command = ["git", *pinned, *off, *words]
    done = subprocess.run(command, cwd=root, capture_output=True, check=True, timeout=30, env={**environ, **fixed})
    return done.stdout
