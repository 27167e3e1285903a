"""One table of differences a venue."""
