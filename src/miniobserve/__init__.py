"""Traces, metrics and the cost meter: what happened to each request. It knows nothing of models or registries."""
