"""Which web pages may read this server's replies: cross-origin resource sharing, for the origins that a setting names.

A browser shows a page the reply of another origin only if the reply says so. Without the setting no reply does.
Requests carry no credentials, since the server has none. This module does not know the routes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from modelspine.errors import BadInput
from modelspine.text import visible

Headers = list[tuple[bytes, bytes]]

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
_ASKED = b"access-control-request-method"
_EXPOSED = b"X-Request-ID, X-Request-ID-Replaced, X-Model-SHA, Retry-After, traceparent"
_SENT = b"Content-Type, X-Request-ID, traceparent, tracestate, X-Spine-Tester, X-Spine-Arm"
_KEPT_SECONDS = b"600"
"""How long a browser may keep the answer to a preflight."""


class Origins:
    """The origins of pages that may read replies."""

    def __init__(self, allowed: str = "") -> None:
        """Read the setting ``cors_origins``.

        Raises:
            BadInput: it names something that is no origin.
        """
        names = [name.strip().lower().rstrip("/") for name in allowed.split(",") if name.strip()]
        for name in names:
            if name != "*" and _ORIGIN.fullmatch(name) is None:
                raise BadInput(
                    f"the setting cors_origins is not valid: {visible(name, 60)!r} is no origin",
                    'name origins such as "https://app.example, http://localhost:3000", or "*" for every page',
                )
        self._all = "*" in names
        self._allowed = {name.encode() for name in names}

    def headers(self, request: Mapping[bytes, list[bytes]]) -> Headers:
        """Return the reply headers that let a request's page read the reply; none for another page."""
        if not self._allowed:
            return []
        origins = request.get(b"origin", [])
        # Caches must not give one page what was said to another.
        vary = [] if self._all else [(b"vary", b"Origin")]
        if len(origins) != 1 or not (self._all or origins[0] in self._allowed):
            return vary
        allowed = b"*" if self._all else origins[0]
        return [*vary, (b"access-control-allow-origin", allowed), (b"access-control-expose-headers", _EXPOSED)]

    def preflight(self, method: str, request: Mapping[bytes, list[bytes]]) -> Headers | None:
        """Return further headers if this is an allowed page's question whether it may send a request, else None."""
        if method != "OPTIONS" or _ASKED not in request or len(self.headers(request)) < 2:
            return None
        return [
            (b"access-control-allow-methods", b"GET, POST"),
            (b"access-control-allow-headers", _SENT),
            (b"access-control-max-age", _KEPT_SECONDS),
        ]


NO_ORIGINS = Origins()
