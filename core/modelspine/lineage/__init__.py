"""Corpora under DVC, and the walk from an entry up to its rows and down to its requests."""
