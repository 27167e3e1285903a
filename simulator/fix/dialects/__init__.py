"""The venues whose FIX the simulator speaks, by name; `plain` is FIX as the standard has it."""

from __future__ import annotations

from simulator.fix.dialects import dukascopy, ibkr, saxo
from simulator.fix.dialects.base import Dialect

PLAIN = Dialect("plain", ("FIX.4.4", "FIX.4.2"), quotes=True)
DIALECTS: dict[str, Dialect] = {
    one.name: one for one in (PLAIN, saxo.DIALECT, dukascopy.DIALECT, ibkr.DIALECT)
}

__all__ = ["DIALECTS", "PLAIN", "Dialect"]
