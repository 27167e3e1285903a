"""The order manager: checks, plans, order lives. Pure state."""
