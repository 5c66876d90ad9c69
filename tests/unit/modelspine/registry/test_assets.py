"""A model with further files, in sub-folders and with names of other scripts, through everything that keeps it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import forge
from bundles import write_bundle
from cli_world import check_refused, run
from modelspine.errors import Damaged
from modelspine.identity.bundle import read_bundle
from modelspine.identity.bundle_cache import Cache
from modelspine.identity.shared_files import SHARED_FROM
from modelspine.spine import open_spine
from modelspine.text import visible

Capture = pytest.CaptureFixture[str]
ASSETS = {"vocab.txt": b"went\n", "1_Pooling/config.json": b"{}", "größe/日本語　語.txt": b"\0\xff", "a:b c": b""}
BY_PRODUCTS = ["README.md", "rng_state_0.pth", ".cache/"]
LARGE = b"0123456789abcdef" * (SHARED_FROM // 16)


def with_assets(folder: Path, number: int = 0, **assets: bytes) -> Path:
    """A bundle with ``ASSETS``, with ``assets`` in their place or beside them, and with by-products."""
    write_bundle(folder, number)
    left_out = {"README.md": b"x", "rng_state_0.pth": b"x", ".cache/a/lock": b"x"}
    return forge.write(folder, ASSETS | assets | left_out)


@pytest.fixture
def kept(project: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str]:
    """A project with one promoted entry that has assets, and the entry's SHA."""
    monkeypatch.chdir(project)
    with open_spine(project) as spine:
        sha = spine.registry.register(with_assets(project / "made" / "1")).sha
        spine.registry.promote(sha, "v1.0.0", reason="the first")
    return project, sha


def stored(root: Path, sha: str) -> dict[str, bytes]:
    folder = root / ".spine" / "cache" / sha
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_register_stores_each_and_names_what_it_left_out(
    project: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    folder = with_assets(project / "made" / "1")
    told = run(capsys, "register", "made/1")
    assert told.code == 0
    assert "neither hashed nor stored: .cache/, README.md, rng_state_0.pth\n" in told.out
    again = run(capsys, "register", "made/1", "--json").json
    assert again["by_products"] == sorted(BY_PRODUCTS)
    assert stored(project, again["sha"]) == {
        name: (folder / name).read_bytes()
        for name in (*ASSETS, "model.safetensors", "config.json", "train_manifest.json", "eval_report.json")
    }
    plain = run(capsys, "register", str(write_bundle(project / "made" / "2", 2)), "--json").json
    assert plain["by_products"] == []
    assert "stored:" not in run(capsys, "register", "made/2").out


def test_a_run_of_mlflow_keeps_them(project: Path, mlflow_database: Path) -> None:
    shutil.copy(mlflow_database, project / ".spine" / "mlflow.db")
    folder = with_assets(project / "made" / "1")
    with open_spine(project) as spine:
        run_id = spine.artifacts.put(folder, experiment="x", name="x", tags={})
        found = spine.registry.register_pending(run_id)
    assert found.sha == read_bundle(folder).sha
    assert found.by_products == tuple(sorted(BY_PRODUCTS))


def test_a_restored_backup_holds_every_file(kept: tuple[Path, str], capsys: Capture) -> None:
    root, sha = kept
    assert run(capsys, "verify").code == 0
    done = run(capsys, "backup", "../kept.tar", "--json")
    assert (done.code, done.json["warnings"]) == (0, [])
    assert run(capsys, "restore", "../kept.tar", "--into", "../again").code == 0
    assert stored(root.parent / "again", sha) == stored(root, sha)
    assert run(capsys, "verify", root=root.parent / "again").code == 0


@pytest.mark.parametrize("name", [*ASSETS])
def test_a_changed_or_missing_asset_is_damage(kept: tuple[Path, str], name: str, capsys: Capture) -> None:
    root, sha = kept
    file = root / ".spine" / "cache" / sha / name
    raw = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(raw + b"x")
    assert run(capsys, "verify").code == 5
    file.unlink()
    assert run(capsys, "verify").code == 5
    file.write_bytes(raw)
    assert run(capsys, "verify").code == 0


def a_link(folder: Path) -> None:
    (folder / "link").symlink_to(folder / "vocab.txt")


def a_linked_folder(folder: Path) -> None:
    (folder / "1_Pooling").rename(folder.parent / "elsewhere")
    (folder / "1_Pooling").symlink_to(folder.parent / "elsewhere")


def a_name(folder: Path) -> None:
    (folder / "1_Pooling" / "a\\b").write_bytes(b"x")


@pytest.mark.parametrize("change", [a_link, a_linked_folder, a_name])
def test_no_backup_is_made_without_a_file_of_a_bundle(
    kept: tuple[Path, str], capsys: Capture, change: Callable[[Path], None]
) -> None:
    root, sha = kept
    change(root / ".spine" / "cache" / sha)
    done = run(capsys, "backup", "../kept.tar")
    check_refused(done, 3)
    assert f"cache/{sha}/" in done.err
    assert [path.name for path in root.parent.iterdir()] == ["project"], "and nothing is left of it"


def test_a_folder_of_a_bundle_that_cannot_be_read_stops_a_backup(
    kept: tuple[Path, str], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def locked(path: Any = ".") -> Any:
        if str(path).endswith("1_Pooling"):  # not by its mode: root reads every folder
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    done = run(capsys, "backup", "../kept.tar")
    check_refused(done, 3)
    assert "1_Pooling" in done.err
    assert "Permission denied" in done.err


def test_show_and_diff_tell_them(kept: tuple[Path, str], capsys: Capture) -> None:
    root, sha = kept
    changed = with_assets(root / "made" / "2", **{"vocab.txt": b"goes\n", "more.bin": b"x"})
    (changed / "a:b c").unlink()
    other = run(capsys, "register", str(changed), "--json").json["sha"]
    assert other != sha
    told = run(capsys, "show", sha).out
    assert all(visible(name) in told for name in ASSETS)
    shown = run(capsys, "show", sha, "--json").json["assets"]
    assert [(each["name"], each["size"]) for each in shown] == [(n, len(ASSETS[n])) for n in sorted(ASSETS)]
    differs = run(capsys, "diff", sha, other, "--json").json
    assert differs["assets"] == {"added": ["more.bin"], "removed": ["a:b c"], "changed": ["vocab.txt"]}
    assert (differs["tensors"]["changed"], differs["config"]) == ([], [])
    text = run(capsys, "diff", sha, other).out
    assert "more.bin" in text
    assert "vocab.txt" in text
    assert "a:b c" in text
    by_file = next(each["sha256"] for each in shown if each["name"] == "vocab.txt")
    assert by_file in str(run(capsys, "show", by_file[:12], "--json").json)


# one file for several bundles -------------------------------------------------------------------------


def test_a_large_file_of_two_bundles_is_stored_once(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    shas = [cache.add(with_assets(tmp_path / f"{n}", n, **{f"sub/{n}.onnx": LARGE})).sha for n in range(3)]
    files = [cache.path(sha) / "sub" / f"{n}.onnx" for n, sha in enumerate(shas)]
    assert len({file.stat().st_ino for file in files}) == 1
    assert len({(cache.path(sha) / "vocab.txt").stat().st_ino for sha in shas}) == 3, "a small one is not shared"
    shutil.rmtree(cache.path(shas[0]))
    assert [cache.verified(sha)[1].sha for sha in shas[1:]] == shas[1:]


@pytest.mark.parametrize("damage", [LARGE[:-1] + b"x", LARGE[:-1], LARGE + b"x", None])
def test_nothing_is_linked_to_a_damaged_copy(tmp_path: Path, damage: bytes | None) -> None:
    cache = Cache(tmp_path / "cache")
    first = cache.add(with_assets(tmp_path / "1", 1, **{"a.onnx": LARGE})).sha
    file = cache.path(first) / "a.onnx"
    file.unlink()
    if damage is not None:
        file.write_bytes(damage)
    second = cache.add(with_assets(tmp_path / "2", 2, **{"a.onnx": LARGE})).sha
    assert cache.verified(second)[1].sha == second
    with pytest.raises(Damaged):
        cache.verified(first)
    third = cache.add(with_assets(tmp_path / "3", 3, **{"a.onnx": LARGE})).sha
    assert (cache.path(second) / "a.onnx").samefile(cache.path(third) / "a.onnx"), "the sound one is shared"
    assert cache.add(tmp_path / "1").sha == first
    assert cache.verified(first)[1].sha == first, "and registering again repairs the damaged one"


def test_shards_with_equal_bytes_are_one_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    shard = forge.plain({"w": ("U8", [len(LARGE)], LARGE)})
    folders = [
        forge.write(tmp_path / name, {"model.safetensors": shard, "config.json": f'{{"n": {name}}}'.encode()})
        for name in "12"
    ]
    one, two = (cache.path(cache.add(folder).sha) / "model.safetensors" for folder in folders)
    assert one.parent != two.parent
    assert one.samefile(two)


# an earlier ledger ------------------------------------------------------------------------------------


def test_without_assets_the_record_is_that_of_earlier_versions(project: Path, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "plain")
    assert read_bundle(folder).format == "spine.entry/1"
    with open_spine(project) as spine:
        spine.registry.register(folder)
    with sqlite3.connect(project / ".spine" / "ledger.db") as ledger:
        bodies = ledger.execute("SELECT event FROM events").fetchall()
        tables = ledger.execute("SELECT body FROM evidence").fetchall()
    ledger.close()
    assert len(bodies) == 2
    assert b"assets" not in b"".join(bytes(x) if isinstance(x, bytes) else x.encode() for (x,) in bodies + tables)
