"""The words of a workload: what its units, inputs and outputs are called in every text for people.

A workload may declare them: a class by its attribute ``words``, a table by ``[workload.words]``. Without, they are
neutral. Fields of the API and of stored traces have neutral names anyway and never change with them. The words in force
are those of the project that this process opened last, as a program has one language at a time. This module knows no
text that they are used in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec

from modelspine.errors import BadInput
from modelspine.text import visible

Word = Annotated[str, msgspec.Meta(max_length=40)]
_SETTABLE: Final = "unit, input, output and accepted"


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Nouns in the singular, each with its plural, which is the noun with an ``s`` where none is given."""

    unit: Word = "user"
    """Whom or what one answer is for, and who keeps an arm of the route: a user, a customer, a device."""
    units: Word = ""
    input: Word = "input"
    """What a unit sends."""
    inputs: Word = ""
    output: Word = "output"
    """What the model returns."""
    outputs: Word = ""
    accepted: Word = "accepted"
    """What is said of an input that the model let pass as it was."""
    answered: Word = "answered"
    """What is said of an input that got another output."""
    right: Word = "right answer"
    """What the output should have been."""
    false_accept: Word = "false accept"
    """A wrong input that the model let pass."""
    false_accepts: Word = ""

    def __post_init__(self) -> None:
        """Fill in the plurals; a word that is empty or could draw something else is refused with a ``ValueError``."""
        for one, many in _PLURALS.items():
            if not getattr(self, many):
                msgspec.structs.force_setattr(self, many, f"{getattr(self, one)}s")
        for name in self.__struct_fields__:
            word = getattr(self, name)
            if not word.strip() or word != word.strip() or visible(word, 80) != word:
                raise ValueError(f"`{name}` must be a word of visible characters")

    def count_units(self, number: int) -> str:
        """A number with the noun: ``1 user``, ``1,204 users``."""
        return f"{number:,} {self.unit if number == 1 else self.units}"

    def count_false_accepts(self, number: int) -> str:
        """A number with the noun: ``1 false accept``, ``12 false accepts``."""
        return f"{number:,} {self.false_accept if number == 1 else self.false_accepts}"


_PLURALS: Final = {"unit": "units", "input": "inputs", "output": "outputs", "false_accept": "false_accepts"}
NEUTRAL: Final = Words()


def words_of(workload: Any) -> Words:
    """The words that a workload declares, which may be a mapping or ``Words``; neutral ones where it declares none.

    Raises:
        BadInput: what it declares are no words.
    """
    declared = getattr(workload, "words", None)
    if declared is None or isinstance(declared, Words):
        return declared or NEUTRAL
    name = visible(str(getattr(workload, "name", "")), 40)
    try:
        return msgspec.convert(dict(declared) if isinstance(declared, Mapping) else declared, Words)
    except msgspec.ValidationError as error:
        raise BadInput(
            f"the workload {name} declares words that cannot be used: {visible(str(error), 120)}",
            f"`words` is a table of short texts; the usual ones are {_SETTABLE}",
        ) from error


class _InForce:
    """The words in force, looked up when the first text needs them: most commands print none of them."""

    def __init__(self) -> None:
        self.find: Callable[[], Words] = lambda: NEUTRAL
        self.found: Words | None = None


_in_force = _InForce()


def use(find: Callable[[], Words]) -> None:
    """Put words in force; ``find`` is called when they are first needed."""
    global _in_force  # noqa: PLW0603  (one name to replace, so that a thread never sees half of it)
    made = _InForce()
    made.find = find
    _in_force = made


def words() -> Words:
    """The words in force; the neutral ones where those of the workload cannot be found, which `spine info` reports."""
    place = _in_force
    if place.found is None:
        try:
            place.found = place.find()
        except Exception:  # noqa: BLE001  (foreign code must not keep a text from being made)
            place.found = NEUTRAL
    return place.found
