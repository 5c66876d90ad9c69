"""The table ``[cost]`` of ``spine.toml``: the prices of models that are billed by token.

It does not know which entry a name means.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from modelspine.errors import BadInput
from modelspine.text import visible

Amount = Annotated[float, msgspec.Meta(ge=0, lt=1e9)]
"""An amount of money."""
_BILLED = re.compile(r"\*|v[0-9]+\.[0-9]+\.[0-9]+.*|[0-9a-f]{4,64}")


class TokenRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a million tokens of one model cost; None if unknown."""

    input: Amount | None = None
    output: Amount | None = None


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table as it was read."""

    currency: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")] = "USD"
    """Of every price here and of ``rate_per_hour``."""
    price_version: str | None = None
    """The version of all these prices; the setting ``price_version`` if there is none here."""
    tokens: dict[str, TokenRow] = {}
    """Prices of models billed by token, by semver, by the first digits of a SHA, or by ``*`` for every model."""

    def check_names(self) -> None:
        """Check that each name could mean an entry.

        Raises:
            BadInput: one cannot: misspelt, it would match no entry and leave it without a price, silently.
        """
        for name in self.tokens:
            if _BILLED.fullmatch(name) is None:
                raise BadInput(
                    f"the setting cost is not valid: tokens.{visible(name, 40)} names no entry",
                    'name a semver such as "v0.3.0", the first 4 or more digits of a SHA, or "*" for every entry',
                )
