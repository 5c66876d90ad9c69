"""docs/WORKLOAD.md followed to the letter: a stranger's package, its bundle, its baseline, an answer and its walk."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "WORKLOAD.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """An empty project in which the page's package is known, as installing it would make it known."""
    project = next(block for block in blocks("toml") if "[project]" in block)
    ((group, points),) = tomllib.loads(project)["project"]["entry-points"].items()
    known = tmp_path / "titler-0.1.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: titler\nVersion: 0.1.0\n")
    lines = [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (known / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for name, text in zip(("titler.py", "make.py"), blocks("python"), strict=True):
        (tmp_path / name).write_text(text)
    here = str(Path(sys.executable).parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPINE_")}
    return {**kept, "PATH": f"{here}:{kept['PATH']}", "PYTHONPATH": str(tmp_path)}


def test_the_page_leads_from_an_empty_folder_to_a_walk(tmp_path: Path, env: dict[str, str]) -> None:
    def run(script: str) -> str:
        shell = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(shell, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    first, second = blocks("sh")[-2:]
    before, _, serve = first.rpartition("spine serve")
    assert serve.strip() == ""
    assert "gated" in (said := run(before))
    assert "promoted v0.1.0" in said
    server = subprocess.Popen(
        ["spine", "serve", "--port", "0"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().split(b"http://127.0.0.1:")[1].split()[0].decode()
        asked = re.search(r"localhost:8080(\S+) .*X-Request-ID: (\S+)'.*-d '(.*?)'", second, re.DOTALL)
        assert asked is not None
        headers = {"X-Request-ID": asked[2]}
        reply = httpx.post(f"http://127.0.0.1:{port}{asked[1]}", json=json.loads(asked[3]), headers=headers)
        assert reply.status_code == 200
        assert (reply.json()["correction"], reply.json()["request_id"]) == ("A Fine Day", asked[2])
        walk = run(second.splitlines()[-1])
    finally:
        server.terminate()
        server.wait(15)
        server.stdout.close()
    assert re.search(r"1 model +. verified", walk), walk
    assert re.search(r"5 score +. recorded .*words/more 3/3", walk), walk
