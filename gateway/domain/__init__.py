"""Nouns: instruments, orders, lots, the book. Standard library only."""
