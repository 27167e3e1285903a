"""Throw broken messages at the FIX decoder: no crash, no hang, no wrong fill.

Run it long with ``python -m tests.fuzz_decoder --messages 100000``; the last line is JSON. What a
report may say is told by a second, independent reading of the same bytes: each number a report carries
must stand in the message, once, in plain digits. Findings belong into `CORPUS`.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

from adapters.fix import decoder
from adapters.fix.dialects import DIALECTS, Venue, speak
from adapters.fix.dialects.notices import read_activation, read_notice
from adapters.fix.dialects.wire import Unreadable
from gateway.domain.order import ExecType, Report
from gateway.events import CancelRejected, MessageRefused, OrderUnknown, ReportReceived

AT = datetime(2024, 5, 6, 14, 30, tzinfo=UTC)
SLOW_S = 1.0
SOH = "\x01"
ID, OTHER = "ABCDEFGHIJKLMNOP", "QRSTUVWXYZ234567"
KNOWN = {"O1": ID, "O2": OTHER}
DIGITS = re.compile(r"[+-]?[0-9]*\.?[0-9]*")

SEEDS = (
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E1|150=0|39=0|55=EUR/USD|54=1|38=100|14=0|151=100|6=0|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E2|150=F|39=1|55=EUR/USD|54=1|38=100|32=40|31=1.0825|14=40|151=60|6=1.0825|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E3|20=0|150=2|39=2|55=AAPL|54=2|32=60|31=187.5|14=100|151=0|6=187|12=1|13=3|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E4|150=2|39=2|55=EUR/USD|54=1|38=100|14=70|151=30|6=1.08|60=20240506-14:30:01.5|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E5|20=1|150=1|39=1|55=AAPL|54=1|32=40|31=187|14=0|151=100|6=0|19=E2|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOPC1|41=ABCDEFGHIJKLMNOP|17=E6|150=4|39=4|55=AAPL|54=1|14=40|151=0|6=1|378=3|",
    "35=8|37=O2|11=QRSTUVWXYZ234567|150=I|39=1|55=EUR/USD|54=1|14=40|151=60|6=1.1|584=M1|911=2|912=Y|",
    "35=8|37=NONE|11=QRSTUVWXYZ234567|150=I|39=8|14=0|151=0|103=5|58=unknown order|",
    "35=8|37=O9|11=desk|453=2|448=C|447=D|452=3|448=A|447=D|452=38|17=E7|150=F|39=2|55=AAPL|54=5|32=5|31=9|14=5|151=0|6=9|",
    "35=9|37=O1|11=ABCDEFGHIJKLMNOPC1|41=ABCDEFGHIJKLMNOP|39=2|434=1|102=0|58=too late|",
    "35=3|45=7|371=40|372=D|373=5|58=value is incorrect|",
    "35=j|45=7|372=D|379=ABCDEFGHIJKLMNOP|380=8|58=account blocked|",
    "35=U1|7004=A|7003=2|58=margin|",
    "35=U2|7004=A|15=USD|7005=30|7006=1000|7007=2000|",
    "35=U3|7004=A|55=EUR/USD|7008=-1.5|44=1.08|",
    "35=AI|55=EUR/USD|537=1|",
)
CORPUS = (
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E2|150=F|39=1|32=4e9|31=1|14=4e9|6=1|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E2|150=F|39=1|32=4_0|31=1|14=400|6=1|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E2|150=F|39=1|32=٤٠|31=1|14=40|6=1|",
    "35=8|37=O1|11=ABCDEFGHIJKLMNOP|17=E2|150=F|39=1|32=40|32=4|31=1|14=40|6=1|",
    "35=8|37=O1|11=QRSTUVWXYZ234567|17=E2|150=F|39=1|32=40|31=1|14=40|6=1|",
    "35=8|11|",
)
TAGS = (
    1,
    6,
    11,
    12,
    13,
    14,
    17,
    20,
    31,
    32,
    35,
    37,
    38,
    39,
    41,
    54,
    55,
    58,
    103,
    150,
    151,
    167,
    378,
    584,
    912,
    9999,
)
VALUES = (
    "", "0", "1", "2", "F", "I", "H", "G", "B", "8", "E", "-1", "+5", "1e9", "1E-9", "NaN", "inf", " 4",
    "4 ", "4,0", "٤٠", "4_0", "9" * 40, "0" * 5000, ".", "-.", "1.", ".5", "1.2.3", ID, OTHER,
    ID + "C1", ID + "R2", "O2", "NONE", "EUR", "CASH", "é", "\udcff", "\x00", "=", "==", "|",
)  # fmt: skip


def venues() -> list[Venue]:
    """Return every dialect, once as it is and once with what changes its reading."""
    found = [speak(name, {}) for name in DIALECTS]
    found.append(speak("dukascopy", {"quantity_scale": "1000", "fills_by": "difference"}))
    found.append(speak("saxo", {"fill_exec_types": "F", "symbols": {"AAPL": "AAPL:xnas"}}))
    return found


def mutate(rng: random.Random, text: str) -> str:
    """Break a message in one to four places."""
    for _ in range(rng.randint(1, 4)):
        fields = text.split("|")
        at = rng.randrange(len(fields))
        match rng.randrange(9):
            case 0:
                del fields[at]
            case 1:
                fields.insert(at, f"{rng.choice(TAGS)}={rng.choice(VALUES)}")
            case 2:
                fields[at] = fields[at].partition("=")[0] + "=" + rng.choice(VALUES)
            case 3:
                fields[at] = f"{rng.choice(TAGS)}=" + fields[at].partition("=")[2]
            case 4:
                other = rng.randrange(len(fields))
                fields[at], fields[other] = fields[other], fields[at]
            case 5:
                fields = fields[:at]
            case 6:
                fields += rng.choice(SEEDS).split("|")
            case 7:
                place = rng.randrange(len(text) + 1)
                fields = (text[:place] + chr(rng.randrange(256)) + text[place + 1 :]).split("|")
            case _:
                place = rng.randrange(len(text) + 1)
                fields = (text[:place] + rng.choice("0123456789.=|") + text[place:]).split("|")
        text = "|".join(fields)
    return text


def said(raw: str) -> dict[str, list[str]]:
    """Read a message a second time, by other means: every value of every tag."""
    found: dict[str, list[str]] = {}
    for one in re.findall(r"(?:^|\x01)([^\x01=]*)=(?=([^\x01]*))", raw):
        found.setdefault(one[0], []).append(one[1])
    return found


def only(found: dict[str, list[str]], tag: str) -> str:
    values = set(found.get(tag, ()))
    assert len(values) <= 1, f"tag {tag} has {sorted(values)}, and a report was made of it"
    return next(iter(values), "")


def check_number(found: dict[str, list[str]], tag: str, value: Decimal, scale: Decimal) -> None:
    text = only(found, tag)
    assert text.isascii(), f"tag {tag} has {text!r}"
    assert DIGITS.fullmatch(text), f"tag {tag} has {text!r}"
    assert Decimal(text) * scale == value, f"tag {tag} has {text!r}, the report {value}"


def check_report(report: Report, raw: str, venue: Venue) -> None:
    """Hold a report against the second reading of its bytes."""
    found = said(raw)
    scale = venue.number("quantity_scale") or Decimal(1)
    named = {only(found, "11"), only(found, "41"), KNOWN.get(only(found, "37"), "")}
    stripped = {re.sub(r"^(.{16})[CR][0-9]+$", r"\1", one) for one in named}
    assert report.cl_ord_id, "an order without a name"
    assert report.cl_ord_id in stripped, f"{report.cl_ord_id} is not among {named}"
    assert not report.cum_qty.is_signed(), "CumQty(14) below zero"
    if report.cum_qty:
        check_number(found, "14", report.cum_qty, scale)
    if report.leaves_qty is not None:
        check_number(found, "151", report.leaves_qty, scale)
    if report.ord_status.value == "2":
        assert not report.leaves_qty, "filled, and something is left"
    if report.exec_type is ExecType.TRADE_CORRECT:
        assert only(found, "150") == "G" or only(found, "20") == "2", "a correction nobody told"
        for tag, value, unit in (("32", report.last_qty, scale), ("31", report.last_px, Decimal(1))):
            if value is not None:
                check_number(found, tag, value, unit)
        return
    if not report.exec_type.is_trade:
        assert report.last_qty is None, "a fill in a report that is no execution"
        return
    assert only(found, "150") in ("F", "1", "2"), "an execution that the message does not tell"
    assert only(found, "20") not in ("1", "2", "3"), "a bust or a status read as an execution"
    assert report.exec_id == only(found, "17")
    if report.last_qty is not None and report.last_px is not None:
        check_number(found, "32", report.last_qty, scale)
        check_number(found, "31", report.last_px, Decimal(1))
    elif venue.dialect.is_tolerant:
        assert report.last_qty is None
        assert report.cum_qty, "a fill by difference needs a sum"
        assert report.avg_px, "a fill by difference needs a price"
        check_number(found, "6", report.avg_px, Decimal(1))


@dataclass(slots=True)
class Outcome:
    """Count what became of the messages."""

    seed: int
    messages: int = 0
    slowest_s: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def try_one(raw: str, venue: Venue, outcome: Outcome) -> None:
    """Decode one message and judge the answer."""
    began = time.perf_counter()
    kind = "unreadable"
    try:
        event = decoder.decode(raw, "", "v", 1, AT, venue, KNOWN)
        kind = type(event).__name__
        if isinstance(event, ReportReceived):
            check_report(event.report, raw, venue)
        assert event is None or isinstance(
            event, (ReportReceived, CancelRejected, MessageRefused, OrderUnknown)
        )
        read_notice(decoder.split(raw), venue)
        read_activation(raw, venue)
    except Unreadable as problem:
        if not str(problem):
            outcome.failures.append(f"{raw!r}: refused without a reason")
    except Exception as problem:  # noqa: BLE001 - the point of the exercise
        outcome.failures.append(f"{venue.dialect.name}: {raw!r}: {type(problem).__name__}: {problem}")
    took = time.perf_counter() - began
    outcome.slowest_s = max(outcome.slowest_s, took)
    if took > SLOW_S:
        outcome.failures.append(f"{venue.dialect.name}: {took:.1f} s for {raw[:200]!r}")
    outcome.messages += 1
    outcome.kinds[kind] += 1


def run(messages: int, seed: int) -> Outcome:
    """Decode the seeds and the corpus as they are, then `messages` broken ones."""
    rng, outcome, all_venues = random.Random(seed), Outcome(seed), venues()
    for text in (*SEEDS, *CORPUS):
        for venue in all_venues:
            try_one(text.replace("|", SOH), venue, outcome)
    while outcome.messages < messages:
        text = mutate(rng, rng.choice((*SEEDS, *CORPUS)))
        try_one(text.replace("|", SOH), rng.choice(all_venues), outcome)
    return outcome


def main() -> int:
    """Run from the command line; the last line is JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    outcome = run(given.messages, given.seed)
    for failure in outcome.failures[:20]:
        print(failure)  # noqa: T201 - a long check prints what it found
    answer = {
        "messages": outcome.messages, "seed": outcome.seed, "failures": len(outcome.failures),
        "slowest_ms": round(outcome.slowest_s * 1000, 3), **dict(sorted(outcome.kinds.items())),
    }  # fmt: skip
    print(json.dumps(answer))  # noqa: T201
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
