"""The screens by name; the module of one is imported when it is first opened.

It does not know what is on any of them.
"""

from __future__ import annotations

from console.view import View


def make_view(name: str) -> View:
    """A screen by its name."""
    if name == "registry":
        from console.registry import RegistryView

        return RegistryView()
    if name == "lineage":
        from console.lineage import LineageView

        return LineageView()
    if name == "incident":
        from console.incident import IncidentView

        return IncidentView()
    from console.ledger import LedgerView

    return LedgerView()
