"""The gate: the rule that compares an evaluation report with a baseline, and the texts that explain its result."""
