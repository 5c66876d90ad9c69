"""What an operator wants to know first about a service, and the words for it."""
