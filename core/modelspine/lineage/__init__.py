"""Lineage: corpora under DVC, and the walk from an entry to its training rows and from a corpus to its traffic."""
