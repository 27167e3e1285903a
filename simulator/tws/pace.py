"""How fast the clients of one TWS may speak, all together: a bucket of a second's messages. Pure.

Rules of this room:
1. The bucket holds one second's messages and fills at that rate: a burst of a whole second is allowed, and a
   client that keeps to the rate by the clock is not punished for jitter on the way.
2. Speaking too fast is noted once a second, however many messages it were; after `PATIENCE_S` without, it is
   forgotten.
"""

from __future__ import annotations

PATIENCE_S = 10.0
NOTE_S = 1.0


class Pace:
    """Judge the messages of all clients; 0 a second means any number."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._left = float(per_second)
        self._at: float | None = None
        self._noted: float | None = None
        self.violations = 0

    def is_violated(self, now: float) -> bool:
        """Count a message; say whether it makes a violation to be noted."""
        if not self._per_second:
            return False
        passed = 0.0 if self._at is None else now - self._at
        self._at = now
        self._left = min(self._left + passed * self._per_second, float(self._per_second)) - 1
        if self._left >= 0:
            return False
        self._left = 0.0
        if self._noted is not None and now - self._noted < NOTE_S:
            return False
        if self._noted is not None and now - self._noted > PATIENCE_S:
            self.violations = 0
        self._noted = now
        self.violations += 1
        return True
