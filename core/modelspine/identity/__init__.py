"""Identity of a model: strict reading of bundle files, and the canonical SHA computed from them."""
