"""Throw broken FIX messages at the simulator: no crash, no hang, and the venue's books stay conserved.

Run it long with ``python -m tests.fuzz_simulator --messages 100000``; the last line is JSON. Bytes go through
the frame codec, the dictionary, the session and the venue in one process, without a socket. One life is one
venue with its sessions and `LIFE` messages; ``--seed`` and the life's number begin it again. What was found
belongs into `corpus/simulator`; a line is `TYPE FIELDS` with the next number, framed, or `raw BYTES`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import Any

from simulator.accounts import Accounts, Tariff
from simulator.fix.application import Reply
from simulator.fix.codec import Decoder, Frame
from simulator.fix.dialects import DIALECTS
from simulator.fix.message import Message, SessionId
from simulator.fix.session import Session
from simulator.fix.store import Memory
from simulator.fix.terms import SessionConfig, State
from simulator.fix.validation import Validator
from simulator.fix.venue_app import VenueApp
from simulator.fix.venue_options import Terms
from simulator.floor import VenueSettings
from simulator.market import Listing, Market, MarketSettings
from simulator.record import record as record_of
from simulator.venue import Venue

CORPUS = Path(__file__).parent / "corpus" / "simulator"
START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
LIFE = 500
STEPS = 2_000
"""What one chunk may make a session deliver, the queue of early messages included."""

HANG_S = 5
SOH = "\x01"
ZERO = Decimal(0)
SYMBOLS = ("AAPL", "EUR/USD", "EUR", "NONE")
LOGON = {
    "plain": "98=0|108=30|", "saxo": "98=0|108=30|553=u|554=p|",
    "dukascopy": "98=0|108=30|141=Y|553=u|554=p|", "ibkr": "98=0|108=30|",
}  # fmt: skip
PARTIES = "453=3|448=C|447=D|452=3|448=main|447=D|452=38|448=T|447=D|452=11|"
VALUES = (
    "", "0", "1", "2", "3", "-1", "-0", "+5", "1e9", "NaN", "Infinity", " 4", "4 ", "4,0", "4_0",
    "9" * 17, "9" * 18,
    "9" * 19, "9" * 30, "0" * 30, "9" * 5000, "1." + "3" * 30, "." + "0" * 29 + "1", ".", "-.",
    "1.", ".5", "1.2.3",
    "00010101-00:00:00", "00000229-00:00:00", "99991231-23:59:60.999", "20260105-14:30:00",
    "20260105", "Y", "N", "é",
    "\xff", "\x00", "=", "==", "|", "²", "A" * 70_000, "AAPL", "EUR/USD", "main", "other", "[N/A]",
    "NONE", "7", "5",
)  # fmt: skip
TAGS = (
    1, 5, 6, 7, 8, 9, 10, 11, 14, 15, 16, 22, 31, 32, 34, 35, 36, 37, 38, 39, 40, 41, 43, 44, 45,
    48, 49, 50, 52, 54,
    55, 56, 57, 58, 59, 60, 89, 90, 91, 93, 95, 96, 97, 98, 99, 100, 108, 112, 115, 116, 122, 123,
    126, 128, 129, 141,
    144, 145, 150, 151, 167, 207, 354, 355, 378, 432, 447, 448, 452, 453, 553, 554, 584, 585, 775,
    790, 7011, 9999,
    12108, 99_999_999, 999_999_999, 0, -1,
)  # fmt: skip


class Hang(Exception):
    """Say that one chunk took longer than anything may."""


class Finding(Exception):
    """Say which promise was broken."""


def a_venue(prefix: str, words: dict[str, Any]) -> Venue:
    listings = [Listing("AAPL", Decimal(100)), Listing("EUR/USD", Decimal("1.08"))]
    market = Market(listings, MarketSettings(displayed=words.pop("displayed", 0)))
    accounts = Accounts({"main": (Decimal(10**6), {"AAPL": Decimal(500)}), "other": (Decimal(10**6), {})})
    if words.pop("is_open"):
        accounts = Accounts()
    return Venue(market, accounts, VenueSettings(id_prefix=prefix, tariff=Tariff(bps=Decimal(5)), **words))


def a_shape(rng: random.Random) -> dict[str, Any]:
    """Choose what kind of venue a life has."""
    return {
        "seed": rng.randint(1, 9), "fill_delay_ms": rng.choice((0.0, 200.0)), "partials": rng.randint(1, 4),
        "ack_delay_ms": rng.choice((0.0, 50.0)), "pending_ms": rng.choice((None, 0.0, 100.0)),
        "lot": rng.choice((Decimal(1), Decimal("0.001"))), "displayed": rng.choice((0, 60)),
        "is_open": rng.random() < 0.5,
    }  # fmt: skip


class Door:
    """One venue and one session of it, with a peer who logs on again whenever it was hung up on."""

    def __init__(
        self, dialect: str, begin_string: str, shape: dict[str, Any], *, has_script: bool = False
    ) -> None:
        self.name, self.begin_string = dialect, begin_string
        self.now = START
        spoken = DIALECTS[dialect]
        self.id = SessionId(begin_string, "SIM", "PEER")
        self.terms = Terms(
            lambda prefix: a_venue(prefix, dict(shape)), [self.id], {}, "p-", 1, spoken, has_script
        )  # fmt: skip
        self.app = VenueApp(self.terms)
        self.memory = Memory(str(self.id))
        config = SessionConfig(self.id, dialect=spoken)
        self.validator = Validator(begin_string, also_tags=config.also_tags(), also_values=spoken.also_values)
        self.session = Session(config, self.validator, self.memory)
        self.decoder = Decoder()
        self.records: list[dict[str, Any]] = []
        self.heard: Counter[str] = Counter()
        self.last_said = 0

    def knock(self) -> None:
        """Connect and log on."""
        self.decoder = Decoder()
        self.session.connected(self.now)
        self.hear(self.framed("A", LOGON[self.name], 1 if self.name == "dukascopy" else None))

    def framed(self, msg_type: str, fields: str, number: int | None = None) -> bytes:
        """Frame `fields` (| for SOH) as the next message."""
        number = self.memory.next_in if number is None else number
        stamp = f"{self.now:%Y%m%d-%H:%M:%S}"
        return sealed(self.begin_string, f"35={msg_type}|34={number}|49=PEER|52={stamp}|56=SIM|{fields}")

    def hear(self, data: bytes) -> None:
        """Take one chunk of bytes, as the acceptor does."""
        frames = self.decoder.feed(data)
        if self.decoder.garbled_first:
            self._hung_up()
            return
        for frame in frames:
            if self.session.closing is None and self.session.state is not State.DISCONNECTED:
                self._process(frame)
        self._collect()

    def wait(self, ms: int) -> None:
        """Let time pass for the session and for the venue."""
        self.now += timedelta(milliseconds=ms)
        self.session.tick(self.now)
        self._carry_out(self.app.tick(self.now))
        self._collect()

    def _process(self, frame: Frame) -> None:
        session = self.session
        session.preview(frame)
        self._deliver(session.receive(frame, self.now))
        steps = 0
        while session.has_next():
            steps += 1
            if steps > STEPS:
                raise Finding(f"more than {STEPS} steps for one message")
            self._deliver(session.advance(self.now))

    def _deliver(self, message: Message | None) -> None:
        if message is not None:
            self.heard[message.msg_type if message.msg_type in "DFGH" else "other"] += 1
            self._carry_out(self.app.receive(self.id, message, self.now))
        while self.session.happenings:
            self.session.happenings.pop()
            self._carry_out(self.app.logged_on(self.id, self.now))

    def _carry_out(self, reply: Reply) -> None:
        for outgoing in reply.outgoing:
            self.session.send(outgoing.message, self.now)
        if reply.record is not None:
            self.records.append(json.loads(json.dumps(reply.record)))

    def _collect(self) -> None:
        outbox = self.session.outbound.outbox
        for raw, _ in outbox:
            self.last_said = check_said(raw, self.last_said)
            self._check_words(raw)
        outbox.clear()
        if self.session.closing is not None or self.session.state is State.DISCONNECTED:
            self._hung_up()

    def _check_words(self, raw: bytes) -> None:
        """What the simulator says is sound by the dictionary; a peer's engine would refuse it otherwise."""
        frames = Decoder().feed(raw)
        if frames and frames[0].msg_type == "9" and DIALECTS[self.name].echoes_in_rejects:
            return  # the venue's own dictionary has Parties there, the standard's has not
        fault = self.validator.check(frames[0]) if len(frames) == 1 else "no frame"
        if fault is not None:
            raise Finding(f"said {raw[:400]!r}: {fault}")

    def _hung_up(self) -> None:
        self.session.disconnected()

    @property
    def is_up(self) -> bool:
        return self.session.state is State.LOGGED_ON


def sealed(begin_string: str, fields: str, length: str = "", total: str = "") -> bytes:
    """Frame `fields`; a BodyLength or a CheckSum given is written instead of the true one."""
    body = fields.replace("|", SOH).encode("latin-1")
    raw = f"8={begin_string}{SOH}9={length or len(body)}{SOH}".encode("latin-1") + body
    return raw + f"10={total or f'{sum(raw) % 256:03d}'}{SOH}".encode("latin-1")


def check_said(raw: bytes, last: int) -> int:
    """Hold what the simulator says against the frame, read by other means; return its MsgSeqNum(34)."""
    found = re.match(rb"8=FIX\.4\.[24]\x019=(\d+)\x01(?=35=([^\x01]+)\x0134=(\d+)\x01(43=Y\x01)?)", raw)
    if not found or found.end() + int(found[1]) != len(raw) - 7:
        raise Finding(f"said {raw[:200]!r}: badly framed")
    if raw[-7:] != b"10=%03d\x01" % (sum(raw[:-7]) % 256):
        raise Finding(f"said {raw[:200]!r}: wrong CheckSum(10)")
    number = int(found[3])
    if found[4]:
        return last
    if number <= last and number != 1:
        raise Finding(f"said number {number} after {last}")
    return number


def check_books(venue: Venue) -> None:
    """Cash and positions are the sum of the fills; no order has more than it asked for."""
    cash = {account.name: account.opening_cash for account in venue.accounts.every()}
    held = {account.name: Counter(account.opening_positions) for account in venue.accounts.every()}
    for order in venue.orders:
        filled = sum((fill.last_qty for fill in order.fills), ZERO)
        if not ZERO <= order.cum_qty <= order.order_qty and order.fills:
            raise Finding(f"{order.first_cl_ord_id}: CumQty {order.cum_qty} of {order.order_qty}")
        if filled != order.cum_qty:
            raise Finding(f"{order.first_cl_ord_id}: fills {filled}, CumQty {order.cum_qty}")
        for fill in order.fills:
            sign = 1 if order.is_buy else -1
            cash[order.account] -= sign * fill.last_qty * fill.last_px + fill.commission
            held[order.account][order.symbol] += sign * fill.last_qty  # type: ignore[assignment]
    for account in venue.accounts.every():
        if account.cash != cash[account.name]:
            raise Finding(f"{account.name}: cash {account.cash}, its fills say {cash[account.name]}")
        for symbol, amount in account.positions.items():
            if amount != held[account.name][symbol]:
                raise Finding(
                    f"{account.name}: {amount} {symbol}, its fills say {held[account.name][symbol]}"
                )


def check_replay(door: Door) -> None:
    """What was kept, carried out again, gives the same books."""
    again = VenueApp(door.terms)
    for record in door.records:
        again.replay(record)
    if record_of(again.venue) != record_of(door.app.venue):
        raise Finding("the records carried out again give other books")


def check_splits(raw: bytes) -> None:
    """A message is the same wherever it is cut."""
    whole = [frame.raw for frame in Decoder().feed(raw)]
    for place in range(1, len(raw)):
        decoder = Decoder()
        halves = [frame.raw for frame in (*decoder.feed(raw[:place]), *decoder.feed(raw[place:]))]
        if halves != whole:
            raise Finding(f"cut at {place}, {raw!r} gives {len(halves)} frames, not {len(whole)}")


def a_message(rng: random.Random, door: Door) -> tuple[str, str]:
    """Write a sound message, most of them about orders."""
    mine, orig, symbol = f"o{rng.randint(0, 60)}", f"o{rng.randint(0, 60)}", rng.choice(SYMBOLS[:2])
    what = f"54={rng.choice('12')}|55={symbol}|"
    at = f"{what}60={door.now:%Y%m%d-%H:%M:%S}|"
    who = PARTIES if door.name == "saxo" else f"1={rng.choice(('main', 'main', 'other'))}|"
    price = f"40=2|44={rng.choice((90, 99, 100, 101, 110)) if symbol == 'AAPL' else 1.08}|"
    terms = f"38={rng.choice((1, 15, 45, 100, 100, 250))}|" + rng.choice(("40=1|", price, price))
    number = door.memory.next_in
    written = {
        "D": f"11={mine}|{who}21=1|{at}{terms}{rng.choice(('', '59=0|', '59=1|', '59=3|', '59=4|'))}",
        "F": f"11=c{mine}|41={orig}|{who}{at}",
        "G": f"11={mine}|41={orig}|{who}21=1|{at}{terms}",
        "H": f"11={mine}|{what}",
        "AF": f"584=m|585={rng.choice('17')}|55={symbol}|",
        "1": "112=t|",
        "2": f"7={rng.randint(1, door.memory.next_out)}|16=0|",
        "4": f"123=Y|36={number + rng.randint(0, 3)}|",
        "0": "", "5": "", "U7": "", "U1": "58=x|", "V": "262=1|", "A": LOGON[door.name],
    }  # fmt: skip
    return rng.choices(list(written.items()), (40, 10, 15, 4, 3, 2, 3, 2, 1, 1, 1, 1, 1, 1))[0]


def mutate_fields(rng: random.Random, text: str) -> str:
    """Break the fields of a message in one to three places; its frame stays sound."""
    for _ in range(rng.randint(1, 3)):
        fields = text.split("|")
        at = rng.randrange(len(fields))
        match rng.randrange(9):
            case 0:
                del fields[at]
            case 1:
                fields.insert(at, f"{rng.choice(TAGS)}={rng.choice(VALUES)}")
            case 2 | 3:
                fields[at] = fields[at].partition("=")[0] + "=" + rng.choice(VALUES)
            case 4:
                fields[at] = f"{rng.choice(TAGS)}=" + fields[at].partition("=")[2]
            case 5:
                other = rng.randrange(len(fields))
                fields[at], fields[other] = fields[other], fields[at]
            case 6:
                fields.insert(at, rng.choice(fields))
            case 7:
                fields[at:at] = [f"95={rng.choice(VALUES)[:9]}", f"96={rng.choice(VALUES)}"]
            case _:
                place = rng.randrange(len(text) + 1)
                fields = (text[:place] + chr(rng.randrange(256)) + text[place:]).split("|")
        text = "|".join(fields)
    return text if text.endswith("|") or not text else text + "|"


def mutate_bytes(rng: random.Random, raw: bytes, before: bytes) -> bytes:
    """Break the frame of a message."""
    place = rng.randrange(len(raw))
    match rng.randrange(5):
        case 0:
            return raw[:place] + bytes([raw[place] ^ 1 << rng.randrange(8)]) + raw[place + 1 :]
        case 1:
            return raw[:place]
        case 2:
            return raw[:place] + before[rng.randrange(len(before) + 1) :]
        case 3:
            return raw[:place] + rng.randbytes(rng.randint(1, 40)) + raw[place:]
        case _:
            return re.sub(
                rb"\x019=\d+", b"\x019=" + rng.choice((b"0", b"5", b"9999999", b"-1", b"99", b"")), raw
            )


def composed(rng: random.Random, door: Door, before: bytes) -> bytes:
    """Write the next message, broken or not."""
    msg_type, fields = a_message(rng, door)
    fate = rng.random()
    if fate < 0.35:
        return door.framed(msg_type, fields)
    if fate < 0.75:
        return door.framed(msg_type, mutate_fields(rng, fields))
    number = door.memory.next_in + rng.choice((0, 0, 0, 0, -1, 1, 2, 500))
    head = f"35={msg_type}|34={number}|49=PEER|52={door.now:%Y%m%d-%H:%M:%S}|56=SIM|"
    if fate < 0.88:
        return sealed(door.begin_string, mutate_fields(rng, head + fields))
    if fate < 0.9:
        return sealed(door.begin_string, head + fields, total=rng.choice(("000", "999", "0", "x", "1e2")))
    return mutate_bytes(rng, door.framed(msg_type, fields), before)


def chunks(rng: random.Random, raw: bytes) -> Iterator[bytes]:
    """Cut a message into pieces, seldom byte by byte."""
    size = rng.choices((len(raw), rng.randint(1, len(raw)), 1), (20, 5, 1 if len(raw) < 400 else 0))[0]
    for place in range(0, len(raw), size):
        yield raw[place : place + size]


@dataclass(slots=True)
class Outcome:
    """Count what became of the messages."""

    seed: int
    messages: int = 0
    lives: int = 0
    logons: int = 0
    orders: int = 0
    fills: int = 0
    slowest_s: float = 0.0
    heard: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@contextmanager
def alarm() -> Iterator[None]:
    """End what hangs."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    old = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def live(outcome: Outcome, life: int, messages: int) -> None:
    """Live one life, and judge it at its end; the first finding ends it."""
    rng = random.Random(f"{outcome.seed}/{life}")
    dialect = rng.choice(sorted(DIALECTS))
    door = Door(
        dialect, rng.choice(DIALECTS[dialect].begin_strings), a_shape(rng), has_script=rng.random() < 0.2
    )  # fmt: skip
    raw = before = b""
    number = 0
    try:
        for number in range(messages):
            signal.setitimer(signal.ITIMER_REAL, HANG_S)
            began = time.perf_counter()
            if not door.is_up:
                door.knock()
                outcome.logons += door.is_up
            raw = composed(rng, door, before)
            for chunk in chunks(rng, raw) if raw else ():
                door.hear(chunk)
            before = raw[-300:] or before
            if number % 100 == 0 and len(raw) < 600:
                check_splits(before + raw)
            door.wait(rng.choice((0, 0, 10, 100, 2000)))
            if number % 100 == 0:
                check_books(door.app.venue)
            outcome.messages += 1
            outcome.slowest_s = max(outcome.slowest_s, time.perf_counter() - began)
        check_books(door.app.venue)
        check_replay(door)
    except Exception as problem:  # noqa: BLE001 - the point of the exercise
        where = f"life {life} ({dialect} {door.begin_string}), message {number}"
        outcome.failures.append(f"{where}: {type(problem).__name__}: {problem}: {raw[:600]!r}")
        outcome.messages += 1
    outcome.heard += door.heard
    outcome.orders += len(door.app.venue.orders)
    outcome.fills += sum(len(order.fills) for order in door.app.venue.orders)
    outcome.lives += 1


def run(messages: int, seed: int, *, is_told: bool = False) -> Outcome:
    """Send `messages` broken messages, one life after another."""
    outcome = Outcome(seed)
    with alarm():
        while outcome.messages < messages:
            live(outcome, outcome.lives, min(LIFE, messages - outcome.messages))
            if is_told and outcome.lives % 20 == 0:
                sys.stderr.write(f"{outcome.messages} messages, {len(outcome.failures)} failures\n")
    return outcome


def replay(path: Path) -> Door:
    """Carry out one file of the corpus; its first line names the dialect and the BeginString(8)."""
    first, *lines = path.read_text(encoding="utf-8").splitlines()
    shape = {
        **a_shape(random.Random(1)),
        "is_open": True,
        "fill_delay_ms": 0.0,
        "pending_ms": None,
        "ack_delay_ms": 0.0,
    }
    dialect, begin_string = first.split(" ")
    door = Door(dialect, begin_string, shape)
    with alarm():
        for line in lines:
            signal.setitimer(signal.ITIMER_REAL, HANG_S)
            if not door.is_up:
                door.knock()
            kind, _, rest = line.partition(" ")
            written = re.sub(r"\\x([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), rest)
            written = re.sub(r"<(.)\*(\d+)>", lambda found: found[1] * int(found[2]), written)
            if kind == "raw":
                door.hear(written.replace("|", SOH).encode("latin-1"))
            else:
                door.hear(door.framed(kind, written))
            door.wait(10)
    check_books(door.app.venue)
    check_replay(door)
    return door


def main() -> int:
    """Run from the command line; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    outcome = run(given.messages, given.seed, is_told=True)
    for failure in outcome.failures[:20]:
        print(failure)  # noqa: T201 - a long check prints what it found
    answer = {
        "messages": outcome.messages, "seed": outcome.seed, "failures": len(outcome.failures),
        "lives": outcome.lives, "logons": outcome.logons, "orders": outcome.orders, "fills": outcome.fills,
        "slowest_ms": round(outcome.slowest_s * 1000, 3), **dict(sorted(outcome.heard.items())),
    }  # fmt: skip
    print(json.dumps(answer))  # noqa: T201
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
