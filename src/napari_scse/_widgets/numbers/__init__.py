"""Numbers: what the labels amount to, structure by structure."""
