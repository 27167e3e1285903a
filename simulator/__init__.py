"""Every world that is not real."""
