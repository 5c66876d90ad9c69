"""Which arm answers whom, and what follows from the answers: rollouts, canaries, reports."""
