"""The exception tree. A refusal is a value (`Denied`), never an exception; these are for the edges.

GatewayError
├── ConfigError            a setting is missing or wrong: names the key and the remedy
├── InvalidTargets         a target message is refused: names the field and the remedy
├── StoreError
│   ├── StoreUnavailable   Redis does not answer; nothing is sent until it does
│   ├── StoreUnsafe        Redis would lose acknowledged writes; live mode is refused
│   ├── StoreBehind        Redis holds less than we know was written: reconcile only
│   ├── Fenced             another gateway took the household over: stop at once
│   └── LeaseHeld          another live gateway owns the household
└── IllegalReport          a broker's report contradicts the order's life: halt the account
"""

from __future__ import annotations


class GatewayError(Exception):
    """Stand at the root of every error this package raises on purpose."""


class ConfigError(GatewayError):
    """Say which configuration key is wrong, where it stands, and what to write instead."""


class InvalidTargets(GatewayError):
    """Refuse a target message: `field` names what is wrong, `reason` says why and the remedy."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class StoreError(GatewayError):
    """Stand over everything that can go wrong with the journal."""


class StoreUnavailable(StoreError):
    """Redis does not answer."""


class StoreUnsafe(StoreError):
    """Redis is configured so that an acknowledged write may be lost."""


class StoreBehind(StoreError):
    """Redis holds fewer journal entries than are known to have been written."""


class Fenced(StoreError):
    """Another gateway holds a newer epoch of this household's lease."""


class LeaseHeld(StoreError):
    """Another live gateway holds this household's lease."""


class IllegalReport(GatewayError):
    """A broker's report contradicts the order's life (over-fill, impossible transition)."""
