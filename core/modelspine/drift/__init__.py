"""Drift: how a day's inputs differ from the corpora a model was trained on."""
