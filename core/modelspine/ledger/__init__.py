"""The hash-chained log of events, the state they fold to, and the route of traffic in it."""
