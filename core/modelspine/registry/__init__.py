"""Entries: what is registered, what may be done to each, and where their artifacts are kept."""
