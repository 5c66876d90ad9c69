"""docs/DEPLOY.md: its commands run, its unit and balancers are valid where their programs are, its metrics exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cli_world import REQUEST, leave_trace, make_world
from miniobserve.metrics import Metrics
from miniobserve.objects import open_objects
from modelspine.spine import open_spine
from postgres import fresh_schema

pytestmark = pytest.mark.timeout(180)
PAGE = (Path(__file__).parents[2] / "docs" / "DEPLOY.md").read_text(encoding="utf-8")

_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
NGINX = (
    "pid n.pid; error_log e.log; events {} http { access_log off;\n"
    + " ".join(f"{name}_temp_path {name};" for name in _FOLDERS)
    + "\n"
)
"""What an installation has around the page's block."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_its_commands_set_up_move_and_keep_a_project(
    tmp_path: Path, postgres_url: str, bucket: str, mlflow_database: Path, echo: None
) -> None:
    old = make_world(tmp_path / "old")
    leave_trace(old.root, "yesterday", "x", "x", started_ns=time.time_ns() - 86_400 * 10**9)
    setup, move, nightly = blocks("sh")
    (settings,) = blocks("toml")

    def project(name: str, url: str, mlflow: str) -> Path:
        root, text = tmp_path / name, settings
        root.mkdir()
        for given, ours in (
            ("postgresql://spine@db.example/ops?schema=tutor", url),
            ("s3://bucket/days", f"s3://{bucket}/{name}"),
            ("s3://bucket/files", f"s3://{bucket}/{name}-files"),
            ("https://mlflow.example", mlflow),
        ):
            assert given in text
            text = text.replace(given, ours)
        (root / "spine.toml").write_text(text)
        subprocess.run(["git", "init", "-q", str(root)], check=True)
        (root / ".dvc").mkdir()
        (root / ".dvc" / "config").write_text(f"[core]\nremote = far\n['remote \"far\"']\nurl = {tmp_path}\n")
        return root

    def run(script: str, root: Path) -> str:
        shell = ["bash", "-euo", "pipefail", "-c", script]
        env = {**os.environ, "OLD": str(old.root)}
        done = subprocess.run(shell, cwd=root, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    with fresh_schema() as another:
        assert "ledger, mlflow, dvc, parquet, files answer" in run(
            setup, project("new", another, f"sqlite:///{mlflow_database}")
        )
    moved = project("moved", postgres_url, "http://127.0.0.1:9")
    assert "restored into" in run(move, moved)
    with open_spine(moved, readonly=True) as spine:
        assert spine.incident(REQUEST).answers[0].status == "verified"
    said = run(nightly, moved)
    assert "in the bucket, are not included" in said
    assert "back up that server's database and artifacts" in said
    assert [found.key for found in open_objects(f"s3://{bucket}/moved").list() if "manifest" in found.key]


def test_every_metric_that_is_watched_exists() -> None:
    text = Metrics().render(queue_depth=0, slots_used=0).decode()
    named = set(re.findall(r"`(spine_\w+)", PAGE))
    assert len(named) >= 7
    assert {name for name in named if f"# TYPE {name} " not in text} == set()


@pytest.mark.parametrize(
    ("language", "name", "before", "after", "check"),
    [
        ("ini", "spine@.service", "", "", ("systemd-analyze", "verify")),
        ("haproxy", "haproxy.cfg", "", "", ("haproxy", "-c", "-f")),
        ("nginx", "nginx.conf", NGINX, "}\n", ("nginx", "-p", ".", "-t", "-c")),
    ],
)
def test_what_it_configures_is_valid(
    tmp_path: Path, language: str, name: str, before: str, after: str, check: tuple[str, ...]
) -> None:
    (block,) = blocks(language)
    program = shutil.which("true")
    assert program is not None
    block = block.replace("/srv/tutor/.venv/bin/spine", program).replace("listen 80", "listen unix:n.sock")
    (tmp_path / name).write_text(before + block + after)
    if shutil.which(check[0]) is None:
        pytest.skip(f"{check[0]} is not installed")
    done = subprocess.run([*check, str(tmp_path / name)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_the_recipe_for_ray_is_python() -> None:
    (recipe,) = blocks("python")
    compile(recipe, "recipe.py", "exec")
