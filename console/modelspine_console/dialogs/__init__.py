"""Dialogs: typed input, confirmation of a change, help and settings."""
