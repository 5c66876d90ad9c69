"""What a text that is being typed may become: the words that continue it, and the nearest ones to a word that is wrong.

Pure. It does not know what the words mean, nor how they are drawn.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

MAX_WORDS = 200
"""Values that are offered at most; more cannot be read."""


class Completion(msgspec.Struct, frozen=True):
    """The words that can stand in place of the last one typed."""

    start: int = 0
    """Where the word begins that they replace."""
    words: tuple[str, ...] = ()
    warning: str = ""
    """What is wrong with the text, if it cannot be continued."""

    @property
    def common(self) -> str:
        """The longest beginning that all words share."""
        first, last = min(self.words, default=""), max(self.words, default="")  # the rest lies between these two
        return next((first[:n] for n, char in enumerate(first) if last[n : n + 1] != char), first)


Complete = Callable[[str], Completion]
"""Returns what a text up to the caret may become."""
Values = Callable[[], Iterable[str]]
"""Returns the values that are known for a field or for the argument of a command."""


def nothing(_text: str) -> Completion:
    """No completion at all."""
    return Completion()


def matching(typed: str, words: Iterable[str]) -> tuple[str, ...]:
    """The words that begin with what was typed, in their order, without repetition; case does not matter."""
    found: dict[str, None] = {}
    for word in words:
        if word.lower().startswith(typed.lower()):
            found[word] = None
        if len(found) >= MAX_WORDS:
            break
    return tuple(found)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """The known words nearest to a wrong one, as a question; empty if none is near."""
    near = difflib.get_close_matches(word.lower(), sorted(known), 2, 0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""


def command_completion(text: str, commands: Sequence[str], arguments: Mapping[str, Values]) -> Completion:
    """What a command line may become: a command, then the argument that the command takes.

    ``arguments`` has the known values by the full name of the command.
    """
    bare = text.lstrip()
    verb, space, rest = bare.partition(" ")
    start = len(text) - len(bare)
    if not space:
        words = matching(verb, commands)
        if len(words) == 1 and words[0] in arguments:
            words = (f"{words[0]} ",)
        warning = "" if words else f"unknown command {verb}; {did_you_mean(verb, commands)}".rstrip("; ")
        return Completion(start, words, warning)
    # An abbreviated command takes the arguments of the one it means.
    meant = {name for name in arguments if name.startswith(verb.lower())}
    values = arguments.get(verb.lower()) or (arguments[meant.pop()] if len(meant) == 1 else None)
    argument = rest.lstrip()
    return Completion(len(text) - len(argument), matching(argument, values()) if values is not None else ())


def filter_completion(text: str, fields: Mapping[str, Values]) -> Completion:
    """What a filter may become: the name of a field, or one of its values behind the colon."""
    word = text.rpartition(" ")[2]
    bare = word.removeprefix("!")
    name, colon, value = bare.partition(":")
    start = len(text) - len(bare)
    if not colon:
        return Completion(start, matching(name, [f"{field}:" for field in sorted(fields)]) if bare else ())
    known = fields.get(name.lower())
    if known is None:
        # It is still a filter, for a text with a colon in it, so the warning is only a question.
        question = did_you_mean(name, fields)
        return Completion(start, (), f"no field {name}; {question}" if question else "")
    values = sorted({word for text in known() for word in text.split()})  # a space ends the word of a filter
    return Completion(start + len(name) + 1, matching(value, values))
