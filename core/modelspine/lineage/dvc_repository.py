"""The folders of a repository in which DVC tracks data, and what the files in its work tree track.

The project's folder may lie above or below a folder that DVC knows, with git or without. It does not know hashes,
caches or git's history.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from modelspine.errors import Unavailable
from modelspine.git import git_output, top_of
from modelspine.lineage.dvc_file import LOCK, PIPELINE, Out, is_readable, is_tracking, outs
from modelspine.text import visible

DVC = ".dvc"
TRACKING = ("*.dvc", LOCK, f"*/{LOCK}")
"""The files that name outputs, as git's pathspecs."""
INLINE = "relpath"
"""What a file contains that names the files of a directory itself."""
_NOT_SEARCHED = frozenset({"node_modules", "__pycache__", "site-packages"})
_WITHOUT_GIT = re.compile(r"^\s*no_scm\s*=\s*true\s*$", re.MULTILINE | re.IGNORECASE)


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """An output with the file that names it."""

    out: Out
    file: str
    """The ``.dvc`` file or ``dvc.lock``, from the top of the repository."""
    text: str
    """The content of that file."""


class Repository:
    """The repository that a project's folder belongs to."""

    def __init__(self, root: Path) -> None:
        """Find its top.

        Raises:
            Unavailable: git refuses to read it.
        """
        root = self.root = root.resolve()  # git names the folder behind a link
        found = top_of(root)
        self.with_git = found is not None
        above = next((folder for folder in (root, *root.parents) if (folder / DVC).is_dir()), None)
        self.top = (found or above or root).resolve()
        inside = above is not None and above.is_relative_to(self.top)
        self._own = above if inside else None

    def shown(self, name: str) -> str:
        """A path from the top as a path from the project's folder."""
        return Path(os.path.relpath(self.top / name, self.root)).as_posix()

    def dvc_root(self, name: str) -> Path | None:
        """The nearest folder at or above a file that DVC knows; None where there is none in the repository."""
        folders = [self.top / folder for folder in Path(name).parents]
        return next((folder for folder in folders if (folder / DVC).is_dir()), None)

    def dvc_roots(self) -> list[Path]:
        """Every folder that DVC knows: those of the files that name outputs, and the project's own."""
        named = [self.dvc_root(name) for name in self.files()]
        return list(dict.fromkeys(folder for folder in (self._own, *named) if folder is not None))

    def files(self) -> list[str]:
        """The files of the work tree that name outputs, from the top, in alphabetical order."""
        # Tracked files are looked for in the whole repository. New ones are not in git's index, and a large repository
        # takes long to walk, so they are looked for in the project's part of it.
        part = self._own or self.root
        names: set[str] = set()
        if self.with_git:
            new = ("--others", "--exclude-standard")  # so no file of an environment or a build is found
            names = {*self._listed(self.top, "--cached"), *self._listed(part, *new)}
        if not self.with_git or _ignores_git(part):
            names |= set(_walked(part, self.top))
        return sorted(names)

    def _listed(self, folder: Path, *words: str) -> Iterator[str]:
        """The files that name outputs below a folder, as git lists them."""
        listed = git_output(folder, "ls-files", "-z", "--full-name", *words, "--", *TRACKING)
        for name in os.fsdecode(listed).split("\0"):
            if name and is_tracking(name) and (self.top / name).is_file():
                yield name

    def tracked(self, naming: str = "") -> Iterator[Tracked]:
        """Every output that the files of the work tree name; ``naming`` skips files that do not contain this text."""
        for name in self.files():
            text = _text(self.top / name)
            # A cheap search avoids reading most files as YAML. The hash of a directory whose files are named in the
            # same file is not written down.
            if naming in text or INLINE in text:
                yield from self._outs(name, text)

    def _outs(self, name: str, text: str) -> Iterator[Tracked]:
        """The outputs that a file with this content names."""
        pipeline = _text(self.top / Path(name).with_name(PIPELINE)) if name.endswith(LOCK) else ""
        yield from (Tracked(out=out, file=name, text=text) for out in outs(text, name, pipeline))

    def unreadable(self) -> list[str]:
        """The files of the work tree that should name outputs and are no YAML, so that nobody knows what they name."""
        return [name for name in self.files() if not is_readable(_text(self.top / name))]

    def revision(self, name: str) -> str:
        """The newest commit that changed a file; empty where there is none."""
        return git_output(self.top, "log", "-1", "--format=%H", "--", name).decode().strip() if self.with_git else ""

    def holds(self, path: Path) -> bool:
        """Whether a file, after following links, lies in the repository."""
        return path.resolve().is_relative_to(self.top)


class Snapshot(Repository):
    """A repository that is read once, for a look at many hashes; it counts as unchanged meanwhile.

    Each look at a repository runs git several times and reads YAML, which takes tenths of a second.
    """

    def __init__(self, root: Path) -> None:
        """Find its top; see ``Repository``."""
        super().__init__(root)
        self._texts: dict[str, str] | None = None
        self._read: dict[str, tuple[list[Tracked], dict[str, list[Tracked]]]] = {}
        self._revisions: dict[str, str] = {}

    def files(self) -> list[str]:
        """The files of the work tree that name outputs."""
        if self._texts is None:
            self._texts = {name: _text(self.top / name) for name in super().files()}
        return list(self._texts)

    def tracked(self, naming: str = "") -> Iterator[Tracked]:
        """The outputs with the hash ``naming``, or with a file that has it; without a hash, every output."""
        self.files()
        for name, text in (self._texts or {}).items():
            if naming in text or INLINE in text:
                if name not in self._read:
                    every = list(self._outs(name, text))
                    self._read[name] = every, _by_hash(every)
                every, by_hash = self._read[name]
                yield from by_hash.get(naming, ()) if naming else every

    def revision(self, name: str) -> str:
        """The newest commit that changed a file; empty where there is none."""
        if name not in self._revisions:
            self._revisions[name] = super().revision(name)
        return self._revisions[name]


def _by_hash(tracked: Iterable[Tracked]) -> dict[str, list[Tracked]]:
    found: dict[str, list[Tracked]] = {}
    for each in tracked:
        for dvc_hash in {each.out.dvc_hash, *(member.md5 for member in each.out.members)}:
            found.setdefault(dvc_hash, []).append(each)
    return found


def _ignores_git(folder: Path) -> bool:
    return _WITHOUT_GIT.search(_text(folder / DVC / "config")) is not None


def _walked(folder: Path, top: Path) -> Iterator[str]:
    """The files that name outputs below a folder that git does not list."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        hidden = [name for name in folders if name.startswith(".") or name in _NOT_SEARCHED]
        environments = [name for name in folders if (here / name / "pyvenv.cfg").exists()]
        folders[:] = sorted(set(folders) - set(hidden) - set(environments))
        yield from ((here / name).relative_to(top).as_posix() for name in files if is_tracking(name))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        wrong = f"{visible(str(file), 120)} cannot be read: {error.strerror}"
        raise Unavailable(wrong, "check who may read it") from error
