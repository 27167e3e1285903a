"""Alpaca over its own client, `alpaca-py`, hardened: see `client.py` and `stream.py` for what and why."""
