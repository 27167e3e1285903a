"""The execution styles: how what is approved is spread over time and price, as data and arithmetic.

Rules of this room:
1. A schedule is a row of steps. A slice of TWAP or VWAP is a step; so is each look of a chase at its limit,
   and a last one that ends it.
2. Which step it is follows from when the schedule began and what time it is now, and from nothing else: a
   gateway that starts in the middle goes on in the right place.
3. Each step begins on a whole microsecond, so that every reader of the clock agrees in which step it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum

MAX_STEPS = 1_000
MAX_SECONDS = Decimal(86_400)
MIN_STEP_S = Decimal("0.1")
MAX_BPS = Decimal(10_000)
_MICROSECOND = timedelta(microseconds=1)


class Style(StrEnum):
    """How a wave is worked: whole, in equal slices, in slices by volume, or with a limit that follows."""

    AT_ONCE = "at_once"
    TWAP = "twap"
    VWAP = "vwap"
    CHASE = "chase"


class ChaseEnd(StrEnum):
    """What becomes of the rest when a chase is over: a market order, or nothing."""

    MARKET = "market"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class ScheduleOverride:
    """Say what of the account's schedule one request wants otherwise; None is "as the account has it"."""

    style: Style | None = None
    duration_s: Decimal | None = None
    slices: int | None = None
    volume_curve: tuple[Decimal, ...] | None = None
    chase_interval_s: Decimal | None = None
    chase_step_bps: Decimal | None = None
    chase_limit_bps: Decimal | None = None
    chase_steps: int | None = None
    chase_end: ChaseEnd | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hold one style and its numbers.

    `volume_curve` weighs equal parts of `duration_s` (any positive total). A chase looks at its limits every
    `chase_interval_s`, at most `chase_steps` times; it moves one that is further than `chase_step_bps` from
    where it should be now, and never further than `chase_limit_bps` from the price at approval.
    """

    style: Style = Style.AT_ONCE
    duration_s: Decimal = Decimal(600)
    slices: int = 10
    volume_curve: tuple[Decimal, ...] = ()
    chase_interval_s: Decimal = Decimal(10)
    chase_step_bps: Decimal = Decimal(5)
    chase_limit_bps: Decimal = Decimal(50)
    chase_steps: int = 10
    chase_end: ChaseEnd = ChaseEnd.LEAVE

    def overridden(self, by: ScheduleOverride | None) -> Schedule:
        """Return this schedule with what a request wants otherwise."""
        if by is None:
            return self
        wanted = {one.name: getattr(by, one.name) for one in fields(by)}
        return replace(self, **{name: value for name, value in wanted.items() if value is not None})

    @property
    def is_sliced(self) -> bool:
        """Say whether quantity is spread over time (TWAP, VWAP)."""
        return self.style in (Style.TWAP, Style.VWAP)

    @property
    def weights(self) -> tuple[Decimal, ...]:
        """Return the weight of each slice, in no particular unit."""
        return self.volume_curve if self.style is Style.VWAP else (Decimal(1),) * self.slices

    @property
    def last(self) -> int:
        """Return the number of the last step, counted from 0; of a chase it is the one that ends it."""
        return len(self.weights) - 1 if self.is_sliced else self.chase_steps + 1

    @property
    def step_s(self) -> Decimal:
        """Return how long a step takes, in seconds."""
        return self.duration_s / (self.last + 1) if self.is_sliced else self.chase_interval_s

    def begin_of(self, step: int, began_at: datetime) -> datetime:
        """Return when a step begins."""
        micros = (self.step_s * step * 1_000_000).to_integral_value(ROUND_CEILING)
        return began_at + timedelta(microseconds=int(micros))

    def step_at(self, began_at: datetime, now: datetime) -> int:
        """Return which step it is; after the end it stays the last one."""
        elapsed = Decimal((now - began_at) // _MICROSECOND) / 1_000_000
        step = max(0, min(self.last, int(elapsed / self.step_s)))
        is_later = step < self.last and self.begin_of(step + 1, began_at) <= now
        return step + 1 if is_later else step

    def flaw(self) -> tuple[str, str] | None:
        """Name the first field that is wrong and what to write instead; None when all is well."""
        return next(((name, remedy) for name, is_right, remedy in self._rules() if not is_right), None)

    def _rules(self) -> Iterator[tuple[str, bool, str]]:
        """Yield (field, whether it is right, remedy); each rule may count on those before it."""
        seconds, bps = f"write {MIN_STEP_S} to {MAX_SECONDS} seconds", f"write 0 to {MAX_BPS}"
        yield "duration_s", MIN_STEP_S <= self.duration_s <= MAX_SECONDS, seconds
        yield "slices", 1 <= self.slices <= MAX_STEPS, f"write 1 to {MAX_STEPS}"
        yield "volume_curve", _is_curve(self.volume_curve), _CURVE_REMEDY
        has_curve = self.style is not Style.VWAP or bool(self.volume_curve)
        yield "volume_curve", has_curve, "is empty: vwap needs the weights of equal parts of the duration"
        is_long = not self.is_sliced or self.step_s >= MIN_STEP_S
        yield "duration_s", is_long, f"is less than {MIN_STEP_S} s a slice: write more, or fewer slices"
        yield "chase_interval_s", MIN_STEP_S <= self.chase_interval_s <= MAX_SECONDS, seconds
        yield "chase_step_bps", 0 <= self.chase_step_bps <= MAX_BPS, bps
        yield "chase_limit_bps", 0 <= self.chase_limit_bps <= MAX_BPS, bps
        yield "chase_steps", 0 <= self.chase_steps <= MAX_STEPS, f"write 0 to {MAX_STEPS}"


_CURVE_REMEDY = f"write at most {MAX_STEPS} numbers, none below 0 and one above"


def _is_curve(curve: tuple[Decimal, ...]) -> bool:
    """Say whether weights can be shared out: finite, not negative, one of them positive; or none at all."""
    is_sound = all(weight.is_finite() and 0 <= weight <= MAX_WEIGHT for weight in curve)
    return len(curve) <= MAX_STEPS and is_sound and (not curve or any(curve))


MAX_WEIGHT = Decimal(10) ** 15
"""A weight of a curve may be a number of shares, but not one that drowns every other in rounding."""

AT_ONCE = Schedule()
"""What every request kept before there were styles."""
