"""Backup, restore, export of closed days, and verification of every store."""
