"""Maintenance: backup, restore, export of closed days, and verification of all stores."""
