"""What to say where a store cannot be read and the variable that names it is set and empty, as in a job of a fork."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from modelspine.errors import Unavailable, UnknownRef


@contextmanager
def naming_empty_variables(*names: str) -> Iterator[None]:
    """Add to an error which of these variables are set and empty; an empty one counts as unset everywhere else.

    Raises:
        Unavailable, UnknownRef: what the code inside raised, with the variables named.
    """
    try:
        yield
    except (Unavailable, UnknownRef) as error:
        empty = [name for name in names if os.environ.get(name) == ""]
        if not empty:
            raise
        given = " and ".join(empty)
        raise type(error)(
            f"{error.message}; {given} is set and empty here, as in a pull request from a fork, whose jobs get no "
            "variables",
            f"a maintainer has to run this on a branch of the repository itself, where {given} has its value",
        ) from error
