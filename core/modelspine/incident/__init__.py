"""Incident analysis: trace one request back to its evidence, and pack that evidence for independent verification."""
