"""Traces, metrics and the cost meter: what happened to each request. Knows nothing of models or registries."""
