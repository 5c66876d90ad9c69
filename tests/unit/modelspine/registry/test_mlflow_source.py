"""The text of a source: its forms, and what cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelspine.errors import BadInput, Unavailable
from modelspine.registry.mlflow_files import LocalPlace, find_folders
from modelspine.registry.mlflow_places import place_of
from modelspine.registry.mlflow_source import read_source

LOGGED = "m-" + "0a" * 16


@pytest.mark.parametrize(
    ("text", "path", "written", "below"),
    [
        ("4be1", None, "runs:/4be1", None),
        ("4be1", "encoder", "runs:/4be1/encoder", "encoder"),
        ("4be1", ".", "runs:/4be1", ""),
        ("runs:/4be1", None, "runs:/4be1", None),
        ("runs:/4be1/a/b/", "c", "runs:/4be1/a/b/c", "a/b/c"),
        ("models:/my tickets/3", None, "models:/my tickets/3", None),
        ("models:/tickets/3/encoder", None, "models:/tickets/3/encoder", "encoder"),
        ("models:/tickets/Latest", None, "models:/tickets/latest", None),
        ("models:/tickets@best-one", "x", "models:/tickets@best-one/x", "x"),
        (f"models:/{LOGGED}", None, f"models:/{LOGGED}", None),
        (f"models:/{LOGGED}/x", None, f"models:/{LOGGED}/x", "x"),
    ],
)
def test_a_source_is_read_and_written(text: str, path: str | None, written: str, below: str | None) -> None:
    found = read_source(text, path)
    assert (str(found), found.path) == (written, below)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", None), ("--help", None), ("a b", None), ("$(id)", None), ("x" * 65, None), ("runs:/", None),
        ("runs:/-x", None), ("models:/tickets", None), ("models:/tickets/", None), ("models:/tickets/0", None),
        ("models:/tickets/v3", None),
        ("models:/tickets/Production", None), ("models:/tickets@", None), ("models:/@x", None), ("models://x/3", None),
        ("models:/a\x1b[31m/3", None), ("models:/a\u202eb/3", None), ("file:///etc", None), ("s3://bucket/x", None),
        ("http://host/x", None), ("runs:/x/../y", None), ("runs:/x//y", None), ("runs:/x/a\\b", None),
        ("x", ".."), ("x", "/etc"), ("x", "a/../../b"), ("x", "a\nb"), ("x", "a" * 300),
    ],
    ids=repr,
)  # fmt: skip
def test_what_cannot_be_a_source_is_refused_with_what_can(text: str, path: str | None) -> None:
    with pytest.raises(BadInput) as caught:
        read_source(text, path)
    assert "\x1b" not in caught.value.message
    assert caught.value.hint


# places on this machine


@pytest.mark.parametrize(
    ("url", "uri"),
    [
        ("http://host", "file:///artifacts"), ("https://host", "/artifacts"), ("http://host", "FILE:///artifacts"),
        ("postgresql://host/db", "file:///artifacts"), ("sqlite:///m.db", "file://host/artifacts"),
        ("sqlite:///m.db", "mlflow-artifacts:/0/x"), ("http://host", "runs:/x/y"), ("http://host", "models:/x/1"),
        ("http://host", "sftp://elsewhere/x"), ("postgresql://host/db", "{own}/../elsewhere"),
    ],
)  # fmt: skip
def test_only_a_local_store_leads_to_this_disk(tmp_path: Path, url: str, uri: str) -> None:
    own = tmp_path / "own"
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(Unavailable):
        place_of(uri.format(own=own), "run", (), url=url, folder=own)


@pytest.mark.parametrize("url", ["sqlite:///m.db", "postgresql://host/db"])
def test_a_database_may_name_the_folder_of_the_settings(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "own" / "1" / "artifacts"
    (folder / "bundle").mkdir(parents=True)
    (folder / "bundle" / "config.json").write_text("{}")
    place = place_of(folder.as_uri(), "run", (), url=url, folder=tmp_path / "own")
    assert find_folders(place) == ["bundle"]


def test_a_link_out_of_the_artifacts_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "config.json").write_text("{}")
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "model").symlink_to(tmp_path / "secret")
    with pytest.raises(BadInput, match="leads out"):
        LocalPlace(tmp_path / "artifacts").list("model")


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["bundle/config.json", "plots/a.png"], ["bundle"]),
        (["config.json", "model.safetensors", "1_Pooling/config.json"], [""]),
        (["model/MLmodel", "model/model/config.json", "model/model/model.safetensors"], ["model"]),
        (["a/b/model.onnx"], ["a/b"]),
        (["a/b/c/model.onnx"], []),
        (["config.json", "model/model.gguf"], ["", "model"]),
        (["plots/a.png", ".cache/model.onnx"], []),
    ],
)
def test_the_folders_that_hold_a_model(tmp_path: Path, files: list[str], found: list[str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert find_folders(LocalPlace(tmp_path)) == found
