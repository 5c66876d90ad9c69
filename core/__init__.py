"""The headless spine: identity, history and evidence of a small-model service."""
