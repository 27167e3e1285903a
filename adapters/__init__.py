"""One door to each broker."""
