"""The rule that compares an evaluation report with a baseline, and the words and tables that explain its result."""
