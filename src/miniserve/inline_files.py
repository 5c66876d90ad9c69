"""Images and other files that spans carry inline: taken out by their digest, as data URLs and within messages.

OpenInference gives them as data URLs (``image.url``, ``audio.url``), the GenAI conventions as parts of the type
``blob`` with base64, and clients that log their calls as the APIs of models take them. It does not know what a span
says.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from modelspine.kept_files.keeper import Held
from modelspine.text import visible

_URL = re.compile(r"data:[\w.+/-]{0,100}(?:;[\w.+-]{1,60}=[\w.+-]{0,60}){0,4};base64,", re.ASCII)
_LITERAL = re.compile(r'"(?:data:[^",\\]{0,300};base64,)?[A-Za-z0-9+/_=-]{512,}+"')
"""A text within JSON that may be a file, long enough to be worth taking out before the JSON is read."""
_NEEDLES = (";base64,", '"blob"', '"base64"', '"input_audio"')
_STANDS = "spine-inline-file:"
_MOST_DEPTH = 24


class InlineFiles:
    """The files of one span."""

    def __init__(self, most_text: int) -> None:
        """``most_text`` is how many characters a text may have without its files."""
        self.held: list[Held] = []
        self.unread: dict[str, str] = {}
        """Which attributes hold a file that cannot be read; each with a sentence about it."""
        self._most_text = most_text

    def text(self, key: str, text: str) -> Any:
        """The text of an attribute; a file as its digest, and a text that is JSON with digests for its files."""
        if text.startswith("data:") and (found := _URL.match(text)) is not None:
            return self._digest(key, text[found.end() :])
        if text[:1] not in ("{", "[") or not any(needle in text for needle in _NEEDLES) or _STANDS in text:
            return text
        files: list[str] = []

        def out(literal: re.Match[str]) -> str:
            files.append(literal[0][1:-1])
            return f'"{_STANDS}{len(files) - 1}"'

        # JSON of megabytes would take many times that in memory; what is not a file is short.
        short = _LITERAL.sub(out, text)
        if len(short) > self._most_text:
            return text
        before = len(self.held), len(self.unread)
        try:
            taken = self._walked(key, msgspec.json.decode(short), files.__getitem__, _MOST_DEPTH)
            return text if before == (len(self.held), len(self.unread)) else msgspec.json.encode(taken).decode()
        except (msgspec.MsgspecError, RecursionError, OverflowError):
            return text

    def value(self, key: str, value: Any) -> Any:
        """A structured value of an attribute with digests for its files."""
        return self._walked(key, value, None, _MOST_DEPTH) if isinstance(value, list | dict) else value

    def _walked(self, key: str, value: Any, of: Callable[[int], str] | None, depth: int) -> Any:
        if isinstance(value, str):
            text = _whole(value, of)
            found = _URL.match(text) if text.startswith("data:") else None
            return text if found is None else self._digest(key, text[found.end() :])
        if depth == 0:
            raise RecursionError
        if isinstance(value, list):
            return [self._walked(key, each, of, depth - 1) for each in value]
        if not isinstance(value, dict):
            return value
        name = _encoded(value)
        return {
            _whole(each, of): self._digest(key, _whole(member, of))
            if each == name and isinstance(member, str)
            else self._walked(key, member, of, depth - 1)
            for each, member in value.items()
        }

    def _digest(self, key: str, text: str) -> dict[str, Any] | None:
        """Base64 as the digest of its bytes; None where it is none."""
        try:
            content = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            content = b""
        if not content:
            self.unread[key] = f"{visible(key, 80)}: a file in it is no base64"
            return None
        sha256 = hashlib.sha256(content).hexdigest()
        self.held.append(Held(key, sha256, content))
        return {"sha256": sha256, "bytes": len(content)}


def _encoded(part: Mapping[str, Any]) -> str:
    """The member of a part of a message that is base64; empty if there is none."""
    kind = part.get("type")
    if kind == "blob" and "content" in part:  # the GenAI conventions
        return "content"
    if kind == "base64" and "data" in part:  # the source of an image in a message
        return "data"
    return "data" if "data" in part and isinstance(part.get("format"), str) and len(part) == 2 else ""  # OpenAI's audio


def _whole(text: str, of: Callable[[int], str] | None) -> str:
    """The text, or what was taken out where it stands for that."""
    return text if of is None or not text.startswith(_STANDS) else of(int(text.removeprefix(_STANDS)))
