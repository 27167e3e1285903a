"""What goes wrong on purpose: between a client and its orders, on the wire, at a connection.

Rules of this room:
1. A mishap is used up: it strikes `count` times, after letting `skip` candidates pass, each time with its
   `probability`; of one kind the first planned strikes first. All of it is seeded.
2. A plan is no part of the record: it is forgotten when the process ends. What it made of an order is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from random import Random
from typing import Any

from simulator.accounts import SettingError
from simulator.venue import VenueError

MAX_COUNT = 10_000
MAX_SECONDS = 3_600.0


class Mishap(StrEnum):
    """What can go wrong."""

    CUT_BEFORE_ORDER = "cut_before_order"
    CUT_AFTER_ORDER = "cut_after_order"
    LOSE_ORDER = "lose_order"
    CUT_BEFORE_CANCEL = "cut_before_cancel"
    CUT_AFTER_CANCEL = "cut_after_cancel"
    REJECT_ORDER = "reject_order"
    REJECT_CHANGE = "reject_change"
    REJECT_CANCEL = "reject_cancel"
    CANCEL_TOO_LATE = "cancel_too_late"
    FILL_AFTER_CANCEL = "fill_after_cancel"
    CHANGE_DOUBLES = "change_doubles"
    INFORM = "inform"
    WHAT_IF_UNSET = "what_if_unset"
    WHAT_IF_LOST = "what_if_lost"
    COMMISSION_FIRST = "commission_first"
    COMMISSION_LATE = "commission_late"
    COMMISSION_LOST = "commission_lost"
    EXECUTION_LOST = "execution_lost"
    STATUS_LOST = "status_lost"
    DUPLICATE_STATUS = "duplicate_status"
    DUPLICATE_EXECUTION = "duplicate_execution"
    STATUS_FIRST = "status_first"
    BAD_ZONE = "bad_zone"
    OUTAGE_IN_FILL = "outage_in_fill"
    MISSING_END = "missing_end"
    SLOW_END = "slow_end"
    SLOW_ANSWER = "slow_answer"
    CLASH = "clash"
    REFUSE_CONNECT = "refuse_connect"
    SLOW_CONNECT = "slow_connect"
    SPLIT_FRAMES = "split_frames"
    BATCH_FRAMES = "batch_frames"
    SILENCE = "silence"
    HALF_OPEN = "half_open"


M = Mishap
MEANINGS = {
    M.CUT_BEFORE_ORDER: "the next order frames are read and discarded, and their connection is cut",
    M.CUT_AFTER_ORDER: "the next orders are booked, and their connection is cut before a word about them",
    M.LOSE_ORDER: "the next order frames are read and discarded; nobody says so",
    M.CUT_BEFORE_CANCEL: "the next cancels are read and discarded, and their connection is cut",
    M.CUT_AFTER_CANCEL: "the next cancels are carried out, and their connection is cut before a word",
    M.REJECT_ORDER: "the next new orders are refused with `code` (201) and `text`",
    M.REJECT_CHANGE: "the next changes are refused with `code` (201) and `text`; the order lives on as it is",
    M.REJECT_CANCEL: "the next cancels are refused with `code` (161) and `text`; the order lives on",
    M.CANCEL_TOO_LATE: "the next cancels find their order filled: 10148 now, the executions `seconds` later",
    M.FILL_AFTER_CANCEL: "the next cancels are confirmed; what was left fills `seconds` later all the same",
    M.CHANGE_DOUBLES: "the next changes make a second order with a new permId and leave the first alive",
    M.INFORM: "the next new orders live and get an error with `code` (10349) and `text` all the same",
    M.WHAT_IF_UNSET: "the next what-ifs are answered with margins that are not set, then truly",
    M.WHAT_IF_LOST: "the next what-ifs get no answer",
    M.COMMISSION_FIRST: "the next executions are told after their commission",
    M.COMMISSION_LATE: "the next commissions are told `seconds` late",
    M.COMMISSION_LOST: "the next commissions are not told; asking for executions brings them",
    M.EXECUTION_LOST: "the next executions and their commissions are not told; asking brings them",
    M.STATUS_LOST: "the next openOrder and orderStatus are not told; asking brings them",
    M.DUPLICATE_STATUS: "the next openOrder and orderStatus are said twice",
    M.DUPLICATE_EXECUTION: "the next executions are said twice, under one execId",
    M.STATUS_FIRST: "the next executions are told after the openOrder and orderStatus that know of them",
    M.BAD_ZONE: "the next executions carry a time zone no client knows",
    M.OUTAGE_IN_FILL: "1100 is said before the next execution, and `code` (1102) `seconds` later",
    M.MISSING_END: "the next End messages are not sent; `message` limits it to one id",
    M.SLOW_END: "the next End messages come `seconds` late; `message` limits it to one id",
    M.SLOW_ANSWER: "the next answers come `seconds` late, as true as when asked; `message`: to that question",
    M.CLASH: "the next clients to start are told 326, their id being in use, and cut",
    M.REFUSE_CONNECT: "the next connections are closed at once",
    M.SLOW_CONNECT: "the next connections are greeted `seconds` late",
    M.SPLIT_FRAMES: "the next writes leave in pieces of a few bytes",
    M.BATCH_FRAMES: "the next writes wait `seconds` for what follows and leave as one packet",
    M.SILENCE: "every connection neither reads nor writes for `seconds`; then it goes on",
    M.HALF_OPEN: "every open connection is dead and does not say so: nothing is read or written",
}
TIMED = frozenset({M.SILENCE, M.HALF_OPEN})
USUAL_CODES = {
    M.REJECT_ORDER: 201,
    M.REJECT_CHANGE: 201,
    M.REJECT_CANCEL: 161,
    M.INFORM: 10349,
    M.OUTAGE_IN_FILL: 1102,
}
USUAL_TEXTS = {
    201: "Order rejected - reason:refused by the fault plan",
    161: "Cancel attempted when order is not in a cancellable state.",
    10349: "Order TIF was set to DAY based on order preset.",
    399: "Order Message:\nWarning: your order will not be placed at the exchange until the next session",
    2109: "Order Event Warning:Attribute 'Outside Regular Trading Hours' is ignored.",
    404: "Order held while securities are located.",
    105: "Order being modified does not match original order.",
    110: "The price does not conform to the minimum price variation for this contract.",
    10147: "OrderId that needs to be cancelled is not found.",
}


@dataclass(slots=True)
class Planned:
    """One planned mishap; `client` limits it to one client id, `message` to one message id."""

    kind: Mishap
    count: int = 1
    skip: int = 0
    probability: float = 1.0
    seconds: float = 0.0
    code: int = 0
    text: str = ""
    client: int | None = None
    message: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_COUNT or not 0 <= self.skip <= MAX_COUNT:
            raise VenueError(f"count must be 1 to {MAX_COUNT} and skip 0 to {MAX_COUNT}")
        if not 0 < self.probability <= 1:
            raise VenueError(f"probability {self.probability} is not above 0 and at most 1")
        if not 0 <= self.seconds <= MAX_SECONDS:
            raise VenueError(f"seconds {self.seconds} is not 0 to {MAX_SECONDS}")
        self.code = self.code or USUAL_CODES.get(self.kind, 0)
        self.text = self.text or USUAL_TEXTS.get(self.code, f"error {self.code}")


class Mishaps:
    """Decide whether something goes wrong now."""

    def __init__(self, seed: int = 1) -> None:
        self._random = Random(seed)
        self._plans: dict[Mishap, list[Planned]] = {}
        self.struck: Counter[Mishap] = Counter()

    def plan(self, planned: Planned) -> None:
        """Let something go wrong."""
        self._plans.setdefault(planned.kind, []).append(planned)

    def planned(self) -> dict[str, int]:
        """Say what is still planned."""
        return {str(kind): sum(one.count for one in plans) for kind, plans in self._plans.items() if plans}

    def clear(self) -> None:
        """Forget what has not struck."""
        self._plans.clear()

    def strike(self, kind: Mishap, client: int | None = None, message: int | None = None) -> Planned | None:
        """Use up the first plan of `kind` that is about this candidate, or let it pass."""
        plans = self._plans.get(kind)
        for planned in plans or ():
            if planned.client not in (None, client) or planned.message not in (None, message):
                continue
            if planned.skip:
                planned.skip -= 1
                return None
            if planned.probability < 1 and self._random.random() >= planned.probability:
                return None
            planned.count -= 1
            if not planned.count and plans is not None:
                plans.remove(planned)
            self.struck[kind] += 1
            return planned
        return None

    def strikes(self, kind: Mishap, client: int | None = None) -> bool:
        """Say whether a candidate is struck."""
        return self.strike(kind, client) is not None


def read_planned(arguments: Mapping[str, Any]) -> Planned:
    """Read what a control command plans; raises `VenueError`."""
    known = {field.name for field in fields(Planned)}
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise VenueError(f"fault knows no {unknown[0]}; it takes {', '.join(sorted(known))}")
    kind = arguments.get("kind")
    if kind not in set(Mishap):
        raise VenueError(f"no fault of kind {kind!r}; use one of: {', '.join(Mishap)}")
    values: dict[str, Any] = {"kind": Mishap(str(kind))}
    for name, read in _READERS.items():
        if arguments.get(name) is not None:
            try:
                values[name] = read(arguments[name])
            except (TypeError, ValueError):
                raise VenueError(f"{name} is {arguments[name]!r}; give {read.__name__}") from None
    return Planned(**values)


_READERS: dict[str, type[Any]] = {
    "count": int, "skip": int, "probability": float, "seconds": float, "code": int, "text": str,
    "client": int, "message": int,
}  # fmt: skip


def read_spec(spec: str) -> Planned:
    """Read `--fault KIND[:NAME=VALUE,...]`; raises `SettingError`."""
    kind, _, rest = spec.partition(":")
    pairs = [item.partition("=") for item in rest.split(",") if item]
    try:
        return read_planned({"kind": kind, **{name: value for name, _, value in pairs}})
    except VenueError as error:
        raise SettingError(f"--fault {spec}: {error}") from None
