"""Cost per quality: the recorded prices of requests summed up by entry."""
