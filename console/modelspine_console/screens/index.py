"""The screens by name; the module of a screen is imported when it is first opened.

It does not know what is on any of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from modelspine_console.screens.base import View


def make_view(name: str) -> View:
    """A screen by its name: screen ``cost`` is the class ``CostView`` of the module ``screens.cost``."""
    module = import_module(f"modelspine_console.screens.{name}")
    return cast("View", getattr(module, f"{name.capitalize()}View")())
