"""The inference server: HTTP, batching and arms; it loads only what the registry verifies."""
