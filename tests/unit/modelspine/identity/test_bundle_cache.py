"""A machine that cannot read says nothing about the bytes; bytes that changed do."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelspine.errors import Damaged, Unavailable
from modelspine.identity.bundle_cache import Cache

Make = Callable[..., Path]
REAL = os.open


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EIO, errno.ENOMEM, errno.EACCES, errno.ENOENT])
def test_a_failure_of_the_machine_is_unavailable(
    number: int, tmp_path: Path, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    sha = cache.add(make_bundle(1)).sha
    fired = []

    def failing(path: Any, *words: Any, **more: Any) -> int:
        if str(path).endswith("model.safetensors"):
            fired.append(path)
            raise OSError(number, os.strerror(number), str(path))
        return REAL(path, *words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing)
        with pytest.raises(Damaged if number == errno.ENOENT else Unavailable) as caught:
            cache.verified(sha)
    assert fired
    assert caught.value.hint
    assert cache.verified(sha)[1].sha == sha, "and it is left as it was"


def test_a_busy_machine_moves_no_sound_bundle_away(
    tmp_path: Path, make_bundle: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache")
    source = make_bundle(1)
    sha = cache.add(source).sha
    fired = []

    def failing(path: Any, *words: Any, **more: Any) -> int:
        if str(path) == str(cache.path(sha)):
            fired.append(path)
            raise OSError(errno.EMFILE, "Too many open files", str(path))
        return REAL(path, *words, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing)
        with pytest.raises(Unavailable):
            cache.add(source)
    assert fired
    assert [child.name for child in cache.folder.iterdir()] == [sha]
