"""``spine console --web``: the console in a browser on this machine.

``access`` decides who may use it, ``page`` is what a browser loads, ``child`` runs one console, ``server`` connects
the two, and ``start`` is the command. None of them knows a screen.
"""

DRIVER = "textual.drivers.web_driver:WebDriver"
"""Textual's driver for browsers: the value of ``TEXTUAL_DRIVER`` in the process of a console that a browser shows."""
