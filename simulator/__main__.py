"""`python -m simulator <world> [options]`: start one of the simulated worlds."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WORLDS = {
    "fix": "simulator.fix.command",
    "alpaca": "simulator.alpaca.command",
    "tws": "simulator.tws.command",
    "ibkr": "simulator.channels",
}


def main(arguments: Sequence[str]) -> int:
    """Hand the remaining arguments to the world the first one names; return its exit code."""
    if not arguments or arguments[0] not in WORLDS:
        is_asked = list(arguments[:1]) in (["-h"], ["--help"])
        text = f"usage: python -m simulator {{{','.join(WORLDS)}}} [options], or --help behind one of them"
        print(text, file=sys.stdout if is_asked else sys.stderr)
        return 0 if is_asked else 2
    run: Callable[[Sequence[str]], int] = importlib.import_module(WORLDS[arguments[0]]).main
    return run(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
