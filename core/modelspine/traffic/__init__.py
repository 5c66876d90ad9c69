"""Traffic routing: rollouts of a candidate beside the stable arm, the canary controller and route reports."""
