"""Who may use the console in a browser: the first browser that opens the printed address, on pages of this server only.

The address holds a token that is good for one use. The browser gets a session cookie for it, which no script can read
and which is sent with no request that another site makes. This module decides; it knows no HTTP library.
"""

from __future__ import annotations

import re
import secrets

COOKIE = "spine_console"
"""The name of the session cookie."""
_HERE = re.compile(r"(?:127\.0\.0\.1|localhost)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
# Any port is accepted, because a forwarded port (`ssh -L`) has another number on the other side. An attack by DNS
# rebinding shows in the name: the browser sends the name of the attacker's page.


class Access:
    """The token and the session of one server."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        """The secret of the printed address."""
        self._session: str | None = None

    def enter(self, token: str) -> str | None:
        """Exchange the token for the session's cookie; None if it is wrong or was used before."""
        if self._session is not None or not _same(token, self.token):
            return None
        self._session = secrets.token_urlsafe(32)
        return self._session

    @property
    def used(self) -> bool:
        """Whether the token was exchanged."""
        return self._session is not None

    def admits(self, cookie: str | None) -> bool:
        """Whether a cookie is that of the session."""
        return cookie is not None and self._session is not None and _same(cookie, self._session)


def foreign(host: str | None, origin: str | None, *, websocket: bool) -> str | None:
    """Why a request does not come from a page of this server; None if it does.

    Args:
        host: the header ``Host``: the name by which the browser found this server.
        origin: the header ``Origin``: the site whose page made the request.
        websocket: whether a WebSocket is opened. Browsers let every page open one, and always send ``Origin``.
    """
    if host is None or not _HERE.fullmatch(host):
        return "this server answers only as 127.0.0.1 or localhost"
    if origin is None:
        return "a WebSocket must name the page that opens it" if websocket else None
    if origin.lower() != f"http://{host.lower()}":
        return "a page of another site made this request"
    return None


def _same(given: str, expected: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), expected.encode())
