"""Whether a session may log on now, and whether that logon begins at 1: what must outlive a process.

Rules of this room:
1. ResetSeqNumFlag(141)=Y is tried as often as the venue allows and no more; then nobody logs on until a
   person has spoken with the venue and removed the file that counts the tries, or a new period begins.
2. Nobody is logged on while the venue's maintenance window is near or open.
3. What was tried is written before it can leave.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from adapters.fix.dialects.sessions import is_in_window, is_reset_due, period_start, window_end
from adapters.fix.settings import FixSession, Moment

LEAVE_EARLY = timedelta(seconds=30)
"""How long before a maintenance window we log out."""


class Standing:
    """Decide for one session; `now` is the clock."""

    def __init__(self, config: FixSession, now: Callable[[], datetime]) -> None:
        self._config = config
        self._now = now
        self._resets = Moment(config.store_folder / "last-reset")
        self._tries = config.store_folder / "reset-tries"

    def begins_at_one(self) -> bool:
        """Say whether the next logon carries ResetSeqNumFlag(141)=Y by the session's terms."""
        config, now, last = self._config, self._now(), self._resets.read()
        if config.reset_at and is_reset_due(now, config.reset_at, config.reset_zone, last):
            return True
        if not (config.maintenance and config.maintenance_resets):
            return False
        return last is None or last < window_end(now, config.maintenance, config.maintenance_zone)

    @property
    def has_terms(self) -> bool:
        """Say whether anything here decides about numbers; else ResetOnLogon does alone."""
        return bool(self._config.reset_at or self._config.maintenance_resets)

    def note_try(self) -> None:
        """Note that a logon with ResetSeqNumFlag(141)=Y is about to leave."""
        if self.has_terms and self._config.most_resets:
            with self._tries.open("a", encoding="ascii") as tries:
                tries.write(f"{self._now().isoformat()}\n")

    def note_reset(self) -> None:
        """Note that the venue has accepted one."""
        if self.has_terms:
            self._resets.write(self._now())
            self._tries.unlink(missing_ok=True)

    def obstacle(self) -> str:
        """Say why nobody may log on now, empty when nothing is in the way."""
        config, now = self._config, self._now()
        if config.maintenance and (
            is_in_window(now, config.maintenance, config.maintenance_zone)
            or is_in_window(now + LEAVE_EARLY, config.maintenance, config.maintenance_zone)
        ):
            return f"the venue's maintenance window {config.maintenance} ({config.maintenance_zone})"
        if config.most_resets and self.begins_at_one() and self._tried() >= config.most_resets:
            tried = f"{config.most_resets} logons with ResetSeqNumFlag(141)=Y were not accepted"
            return f"{tried}, the venue wants no more: call it, then remove {self._tries}"
        return ""

    def _tried(self) -> int:
        """Count the tries of the present period."""
        try:
            times = [datetime.fromisoformat(line) for line in self._tries.read_text("ascii").split()]
        except (OSError, ValueError):
            return 0
        config, now = self._config, self._now()
        since = period_start(now, config.reset_at, config.reset_zone) if config.reset_at else None
        return sum(since is None or one >= since for one in times)
