"""Signed verdicts: keys, envelopes, statements, and the checks a verdict must pass before anyone relies on it."""
