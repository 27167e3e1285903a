"""Readers: they may read everything and change nothing."""
