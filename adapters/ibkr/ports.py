"""Which port one TWS listens on: the configured one, until it says that it has moved. Pure.

Rules of this room:
1. Whoever is told of another port (code 1300) tells everybody who speaks to the same TWS: not all of them
   were connected when it was said.
2. A port that nobody answers on is changed for the other one we know: TWS may move back without a word.
"""

from __future__ import annotations

import re

_NAMED = re.compile(r"\bport\b\W*(\d{1,5})\b", re.IGNORECASE)
"""A text may hold other numbers."""
MOST = 65_535


class Ports:
    """Know where to connect next."""

    def __init__(self, configured: int) -> None:
        self._configured = configured
        self._moved_to = configured
        self.now = configured

    def move(self, text: str) -> None:
        """Take what TWS says with code 1300: the port it names last; without one nothing changes."""
        found = [int(number) for number in _NAMED.findall(text) if 0 < int(number) <= MOST]
        if found:
            self.now = self._moved_to = found[-1]

    def fail(self, port: int) -> None:
        """Note that nobody answers on a port."""
        if port == self.now:
            self.now = self._configured if port != self._configured else self._moved_to
