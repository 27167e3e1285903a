"""Play every scenario on both sides and print the table: `python tests/scenarios/play.py` (`make scenarios`).

Each row of the order-state matrices (FIX 4.4 volume 4 appendix D) is played with and without reports of
pending requests, in FIX 4.4 and in FIX 4.2's words, against the simulated venue over a socket and against
the gateway's order manager. Exit code 1 when a line did not hold.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import fix_on_gateway
import fix_on_venue
from fix_script import Script, every_script

BEGIN_STRINGS = ("FIX.4.4", "FIX.4.2")
TIMEOUT_S = 60


def main() -> int:
    """Print a line for each scenario, what failed below it, and the count."""
    scripts = every_script()
    rows = {script.row for script in scripts}
    played = failed = 0
    print(f"{'row':<18}{'simulator':<12}{'gateway':<12}shows")
    for script in scripts:
        venue = _tried(script, lambda profile, begin, one=script: _on_venue(one, profile, begin))
        gateway = _tried(script, lambda profile, begin, one=script: fix_on_gateway.play(one, profile, begin))
        print(f"{script.name:<18}{_word(venue):<12}{_word(gateway):<12}{script.title}")
        for text in (*venue, *gateway):
            if text:
                print(text)
        played += len(venue) + len(gateway)
        failed += sum(map(bool, (*venue, *gateway)))
    print(f"{len(rows)} rows, {len(scripts)} scenarios, played {played} times, {failed} failed")
    return 1 if failed else 0


def _tried(script: Script, play: Callable[[str, str], None]) -> list[str]:
    """Return what went wrong in each way of playing, empty texts where nothing did."""
    problems = []
    for profile in script.profiles:
        for begin_string in BEGIN_STRINGS:
            try:
                play(profile, begin_string)
            except (AssertionError, TimeoutError) as problem:
                problems.append(f"  {profile}, {begin_string}: {problem}")
            else:
                problems.append("")
    return problems


def _on_venue(script: Script, profile: str, begin_string: str) -> None:
    asyncio.run(_in_time(fix_on_venue.play(script, profile, begin_string)))


async def _in_time(play: Coroutine[Any, Any, None]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await play


def _word(problems: list[str]) -> str:
    return f"{sum(not text for text in problems)}/{len(problems)}"


if __name__ == "__main__":
    sys.exit(main())
