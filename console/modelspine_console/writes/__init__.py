"""Plans of a change and the one place that carries them out."""
