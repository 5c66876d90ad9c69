"""The registry of entries: their records, the rules for changing them, and access to their artifacts."""
