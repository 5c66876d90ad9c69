"""A workload without a class: the table ``[workload]`` of ``spine.toml``, and what follows from its columns."""
