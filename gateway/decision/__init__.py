"""Verbs: whether and how far to trade. Pure; numpy allowed."""
