"""The page of the console in a browser, and the headers of every answer.

The page holds nothing but the address of its own WebSocket. It loads nothing from other sites: scripts, styles and
fonts come from this server, and the policy in the headers lets the browser load no others.
"""

from __future__ import annotations

from html import escape
from importlib.resources import files

OWN = {"console.css": "text/css", "console.js": "text/javascript"}
"""Files of the page that are ours → their types; the terminal's come from textual-serve."""


def page(host: str) -> str:
    """The page as HTML, for the address under which the browser found this server."""
    return own("console.html").replace("{websocket}", escape(f"ws://{host}/ws"))


def refusal(sentence: str, hint: str) -> str:
    """A page that says why there is no console."""
    return f"<!doctype html><title>spine console</title><p>{escape(sentence)}</p><p>{escape(hint)}</p>\n"


def own(name: str) -> str:
    """The text of one of our files."""
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def headers(host: str) -> dict[str, str]:
    """The headers of every answer."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",  # the terminal writes its own styles
        "img-src": "'self' data:",
        "font-src": "'self' data:",
        "connect-src": f"'self' ws://{host}",  # older browsers do not count a WebSocket as 'self'
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
