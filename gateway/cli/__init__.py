"""The `gateway` command: what a person types.

Rules of this room:
1. A command reads its arguments, asks a room below, and prints; it decides nothing.
2. A mistake a user can make ends with one sentence and a documented exit code, never a traceback.
3. Every reading command knows `--json`; what is printed for people is not an interface.
4. Heavy imports happen inside the command that needs them, so that `gateway --help` is instant.
"""

from __future__ import annotations

from gateway.cli.root import main

__all__ = ["main"]
