"""What the console asks of the stores, in threads, as frozen values."""
