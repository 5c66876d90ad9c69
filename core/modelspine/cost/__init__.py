"""What answers cost: the meter's prices, and sums over traces as figures and as text."""
