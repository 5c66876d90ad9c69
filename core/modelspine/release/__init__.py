"""From a reviewed candidate to a promotion: evaluation, gate run, signed verdict."""
