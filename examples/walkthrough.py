"""Runs an example step by step: says what a step is for, shows the command, its output, and ends where one fails.

Commands of ``spine`` and the project's own scripts run in this process, so that MLflow is imported once; git and DVC
run as they do in a shell. What is printed can be typed in the project's folder, with the same result.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

_SPINE = "import sys; from modelspine.cli import main; sys.exit(main())"
"""What the installed command `spine` runs."""
_COMMITTER = {
    "GIT_AUTHOR_NAME": "example", "GIT_AUTHOR_EMAIL": "example@localhost",
    "GIT_COMMITTER_NAME": "example", "GIT_COMMITTER_EMAIL": "example@localhost",
}  # fmt: skip


def registered(said: str) -> str:
    """The SHA that ``spine register`` printed, short."""
    found = re.search(r"registered ([0-9a-f]{8,})", said)
    if found is None:
        sys.exit(f"no entry was registered: {said}")
    return found[1]


class Walkthrough:
    """One run of an example in a folder of its own."""

    def __init__(self, project: Path, folder: str | None) -> None:
        """Copy the project's files into a new folder, and make that the working directory.

        Args:
            project: the folder of the files.
            folder: where to; it must be empty or absent. None makes a temporary one, which is kept.
        """
        self.began = time.monotonic()
        self.root = Path(folder) if folder else Path(tempfile.mkdtemp(prefix="spine-example-"))
        if self.root.exists() and any(self.root.iterdir()):
            sys.exit(f"{self.root} is not empty: give a new folder")
        shutil.copytree(project, self.root, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.root = self.root.resolve()
        os.chdir(self.root)
        sys.path.insert(0, str(self.root))
        # Variables of the project in which the example is started must not name the stores of this one.
        for name in [name for name in os.environ if name.startswith(("SPINE_", "MLFLOW_TRACKING"))]:
            del os.environ[name]
        os.environ |= _COMMITTER | {"DVC_NO_ANALYTICS": "1", "SPINE_QUIET": "1"}
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def say(self, text: str) -> None:
        """Say in a sentence or two what comes next."""
        print(f"\n{textwrap.fill(' '.join(text.split()), 100)}", flush=True)

    def shell(self, *words: str) -> None:
        """Run a program, such as git, and show it."""
        print(f"  $ {shlex.join(words)}", flush=True)
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"{done.stdout}{done.stderr}`{shlex.join(words)}` ended with {done.returncode}")

    def commit(self, message: str) -> None:
        """Commit what the steps before changed."""
        self.shell("git", "add", "--all")
        self.shell("git", "commit", "--quiet", "--message", message)

    def python(self, script: str, *words: str) -> str:
        """Run a script of the project; returns what it printed."""
        return self._shown(["python", script, *words], lambda: runpy.run_path(script, run_name="__main__"))

    def spine(self, *words: str) -> str:
        """Run a command of ``spine``; returns what it printed."""
        from modelspine.cli import main

        return self._shown(["spine", *words], lambda: main(list(words)))

    @contextlib.contextmanager
    def server(self, *words: str, **environ: str) -> Iterator[str]:
        """Run a server while the block lasts; gives its URL, which it prints in its first line."""
        given = "".join(f"{name}={value} " for name, value in environ.items())
        print(f"  $ {given}{shlex.join(words)}", flush=True)
        program = [sys.executable] if words[0] == "python" else [sys.executable, "-c", _SPINE]
        with subprocess.Popen(
            [*program, *words[1:]], env={**os.environ, **environ}, stdout=subprocess.PIPE, text=True
        ) as process:  # fmt: skip
            try:
                line = process.stdout.readline() if process.stdout is not None else ""
                found = re.search(r"http://\S+", line)
                if found is None:
                    sys.exit(f"`{shlex.join(words)}` did not start: {line}")
                print(f"    {line.rstrip()}", flush=True)
                yield found[0]
            finally:
                process.terminate()

    def end(self) -> None:
        """Say where the project is and how long this took."""
        self.say(f"Done in {time.monotonic() - self.began:.0f} s. The project is in {self.root}; `cd` there and go on "
                 "with `spine info`, `spine console` or `spine incident` of another request.")  # fmt: skip

    def _shown(self, words: list[str], run: object) -> str:
        print(f"  $ {shlex.join(words)}", flush=True)
        before, sys.argv = sys.argv, words[1:] if words[0] == "python" else sys.argv
        environ = dict(os.environ)  # what a process sets for itself must not reach the next one
        with contextlib.redirect_stdout(io.StringIO()) as said:
            try:
                code = run()  # type: ignore[operator]
            finally:
                sys.argv = before
                os.environ.clear()
                os.environ.update(environ)
        text = said.getvalue().rstrip()
        if text:
            print(textwrap.indent(text, "    "), flush=True)
        if isinstance(code, int) and code != 0:
            sys.exit(f"`{shlex.join(words)}` ended with {code}")
        return text
