"""The screens by name; the module of one is imported when it is first opened.

It does not know what is on any of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from modelspine_console.screens.base import View

_VIEWS = {
    "registry": "RegistryView",
    "lineage": "LineageView",
    "traffic": "TrafficView",
    "drift": "DriftView",
    "cost": "CostView",
    "incident": "IncidentView",
    "ledger": "LedgerView",
}
"""Class of each screen; it stands in the module of the screen's name."""


def make_view(name: str) -> View:
    """A screen by its name."""
    return cast("View", getattr(import_module(f"modelspine_console.screens.{name}"), _VIEWS[name])())
