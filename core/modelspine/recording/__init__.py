"""Requests that another server answered, as traces: redacted, attributed to an entry and assigned to an arm."""
