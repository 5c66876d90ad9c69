"""The way of a reviewed candidate to promotion: evaluation, gate run and signed verdict."""
