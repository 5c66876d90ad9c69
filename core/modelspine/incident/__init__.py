"""One request walked back to its evidence, and the pack that lets a stranger check it."""
