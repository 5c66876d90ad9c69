"""What a pool of workers may use, and how long its callers wait."""

from __future__ import annotations

import msgspec

from modelspine.model_process import Place


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """How many processes a pool has and what it allows them."""

    workers: int = 1
    spare: bool = True
    """Whether one more process stands by, with every model loaded."""
    queue: int = 16
    """The most texts that may wait, not counting those that a worker has or can have now."""
    batch: int = 8
    """The most texts in one call of a model."""
    seconds: float = 10.0
    """The most seconds that a batch may take, and that a text may wait for its answer."""
    place: Place = Place()
