"""The seven screens, their tabs, rows and texts."""
