"""Digests in traces, and the keys that they give."""

from __future__ import annotations

import pytest

from modelspine.kept_files.digests import digest_of_key, key_of

SHA = "ab" * 32


def test_a_key_and_its_digest_give_each_other() -> None:
    assert key_of(SHA) == f"ab/{SHA}"
    assert digest_of_key(key_of(SHA)) == SHA


@pytest.mark.parametrize("name", ["", "..", "../" + SHA[3:], SHA[:-1], SHA + "\n", SHA.upper(), SHA + "/x"])
def test_what_is_no_digest_has_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="not a SHA-256"):
        key_of(name)


@pytest.mark.parametrize("key", [SHA, f"cd/{SHA}", f"ab/{SHA}/x", f"x/ab/{SHA}", f"ab/{SHA}.png", ""])
def test_other_objects_are_no_kept_files(key: str) -> None:
    assert digest_of_key(key) is None
