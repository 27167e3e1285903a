"""What goes wrong on purpose, on the way in, on the way out and on the stream.

Rules of this room:
1. A mishap strikes the next `count` candidates, or each with its probability (`--chaos`); both are seeded.
2. Nothing here changes an order: what is lost is the answer, or the question.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from random import Random

from simulator.accounts import SettingError

MAX_COUNT = 10_000


class Mishap(StrEnum):
    """What can go wrong."""

    POST_504_BEFORE = "post_504_before"
    POST_504_AFTER = "post_504_after"
    POST_RESET_BEFORE = "post_reset_before"
    POST_RESET_AFTER = "post_reset_after"
    POST_TIMEOUT_BEFORE = "post_timeout_before"
    POST_TIMEOUT_AFTER = "post_timeout_after"
    TOO_MANY = "too_many"
    EVENT_FIRST = "event_first"
    POST_NONSENSE = "post_nonsense"
    GET_504 = "get_504"
    GET_RESET = "get_reset"
    CANCEL_504 = "cancel_504"
    DUPLICATE_EVENT = "duplicate_event"
    SWAP_EVENTS = "swap_events"
    STREAM_DROP = "stream_drop"
    STUCK_CANCEL = "stuck_cancel"
    REPLACE_REJECTED = "replace_rejected"
    MUTE = "mute"
    FREEZE = "freeze"


M = Mishap
MEANINGS = {
    M.POST_504_BEFORE: "the next orders are answered 504 and never taken",
    M.POST_504_AFTER: "the next orders are taken and answered 504",
    M.POST_RESET_BEFORE: "the connection of the next orders breaks before they are taken",
    M.POST_RESET_AFTER: "the next orders are taken and their connection breaks",
    M.POST_TIMEOUT_BEFORE: "the next orders are never taken and never answered",
    M.POST_TIMEOUT_AFTER: "the next orders are taken and never answered",
    M.TOO_MANY: "the next orders are answered 429",
    M.EVENT_FIRST: "the stream speaks of the next orders before their answer leaves",
    M.POST_NONSENSE: "the next orders are taken and answered 200 with something that is no order",
    M.GET_504: "the next questions are answered 504",
    M.GET_RESET: "the connection of the next questions breaks",
    M.CANCEL_504: "the next cancels are carried out and answered 504",
    M.DUPLICATE_EVENT: "the next events are said twice",
    M.SWAP_EVENTS: "the next events are said after those that follow them",
    M.STREAM_DROP: "with the next order every stream breaks; what happens meanwhile is not told",
    M.STUCK_CANCEL: "the next cancels stay pending for ever",
    M.REPLACE_REJECTED: "the next replacements are answered with success and rejected by a later event",
    M.MUTE: "the streams say nothing for `seconds`, but stay connected",
    M.FREEZE: "the streams neither read nor write for `seconds`",
}
ON_POST = (
    M.POST_504_BEFORE, M.POST_504_AFTER, M.POST_RESET_BEFORE, M.POST_RESET_AFTER, M.POST_TIMEOUT_BEFORE,
    M.POST_TIMEOUT_AFTER, M.TOO_MANY, M.EVENT_FIRST, M.POST_NONSENSE,
)  # fmt: skip
TIMED = (M.MUTE, M.FREEZE)


class Mishaps:
    """Decide whether something goes wrong now."""

    def __init__(self, seed: int, chances: dict[Mishap, float]) -> None:
        self._random = Random(seed)
        self._chances = chances
        self._planned: Counter[Mishap] = Counter()
        self.struck: Counter[Mishap] = Counter()

    def plan(self, what: Mishap, count: int) -> None:
        """Let the next `count` candidates be struck."""
        self._planned[what] += count

    def planned(self) -> dict[str, int]:
        """Say what is still planned."""
        return {str(what): count for what, count in self._planned.items() if count}

    def clear(self) -> None:
        """Forget what is planned and every chance."""
        self._planned.clear()
        self._chances = {}

    def strikes(self, what: Mishap) -> bool:
        """Say whether one candidate is struck."""
        if self._planned[what] > 0:
            self._planned[what] -= 1
            is_struck = True
        else:
            chance = self._chances.get(what, 0.0)
            is_struck = bool(chance) and self._random.random() < chance
        self.struck[what] += is_struck
        return is_struck

    def on_post(self) -> Mishap | None:
        """Draw what befalls one order, at most one thing."""
        return next((what for what in ON_POST if self.strikes(what)), None)


def read_chances(text: str) -> dict[Mishap, float]:
    """Read `post_504_after=0.05,too_many=0.03`."""
    found: dict[Mishap, float] = {}
    for item in text.split(",") if text else []:
        name, _, share = item.partition("=")
        try:
            found[Mishap(name.strip())] = chance = float(share)
        except ValueError:
            known = ", ".join(Mishap)
            raise SettingError(f"--chaos {item!r}: write NAME=SHARE with a NAME of {known}") from None
        if not 0 <= chance <= 1:
            raise SettingError(f"--chaos {item!r}: a share is from 0 to 1")
    return found
