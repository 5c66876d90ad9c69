"""Widgets the screens are made of: table, document, pane, prompt, line editor."""
