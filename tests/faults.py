"""Every fault that ever broke an IBKR adapter, each in a basket of 100 orders; books compared after.

Redis, the simulated TWS and the gateway run as processes. Each row plans one fault (of the wire, of TWS, of
its order ids, of an execution), submits a basket that trades about 100 names, and then compares what the
journal intended, what the venue has and what the book says: nothing lost, nothing doubled, every cent equal.

Run: ``python -m tests.faults [--only NAME] [--seed 1]``. It prints a table; exit 1 when a row does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.domain.order import OrdStatus
from gateway.engine import Engine
from gateway.events import RequestState
from simulator.control import ask
from simulator.venue import VenueError
from tests.torture import KITS, Torture

RESTING = ("cancel", "amend", "double")
KIT = replace(KITS["ibkr"], names=110, lookup_wait_s=0.3, victims=())
BASKET_S = 120.0
SETTLED_S = 0.5
A_DAY = 10
"""So many cases are played on one stage: a reconciliation asks for all of a day's executions."""
GATEWAY = 11

Deed = tuple[float, str, dict[str, Any]]


def plan(kind: str, **words: Any) -> Deed:
    """Plan a fault before the basket begins."""
    return (0.0, "fault", {"kind": kind, **words})


@dataclass(frozen=True)
class Case:
    """Name one fault: what is done to the venue and when, in seconds from the basket's start."""

    name: str
    deeds: tuple[Deed, ...] = ()
    special: str = ""
    refused: int = 0


CASES = (
    Case("nothing goes wrong"),
    # Three writes, and early: each takes what has gathered behind it, a few bytes a millisecond.
    Case("frames in pieces", (plan("split_frames", count=3),)),
    Case("order frame read and discarded, socket cut", (plan("cut_before_order", skip=20),)),
    Case("order booked, socket cut before a word", (plan("cut_after_order", skip=20),)),
    Case("order frames lost without a word", (plan("lose_order", skip=10, count=3),)),
    Case("fills while we are away", ((0.4, "drop", {}), (0.8, "drop", {}), (1.2, "drop", {}))),
    Case("1100 amid the fills, then 1102", (plan("outage_in_fill", skip=10, seconds=1.5, code=1102),)),
    Case("1100 amid the fills, then 1101", (plan("outage_in_fill", skip=10, seconds=1.5, code=1101),)),
    Case("1100 repeated, then 1102", (
        (0.3, "lost", {}), (0.5, "warn", {"code": 1100}), (0.7, "warn", {"code": 2110}),
        (1.5, "restored", {"code": 1102}),
    )),
    Case("restart that rolls order ids back", ((0.4, "restart", {"seconds": 0.5, "rollback": 50}),)),
    Case("client id in use on reconnect", (plan("clash", count=2, client=GATEWAY), (0.4, "drop", {}))),
    Case("openOrder and orderStatus twice", (plan("duplicate_status", count=200),)),
    Case("executions twice", (plan("duplicate_execution", count=100),)),
    Case("status before its execution", (plan("status_first", count=60),)),
    Case("openOrder and orderStatus lost", (plan("status_lost", count=10, skip=5),)),
    Case("executions lost", (plan("execution_lost", count=10, skip=5),)),
    Case("commission before its execution", (plan("commission_first", count=60),)),
    Case("commissions 5 s late", (plan("commission_late", count=20, seconds=5.0),)),
    Case("commissions lost", (plan("commission_lost", count=5),)),
    Case("corrected executions", special="correct"),
    Case("busted and corrected again", special="correct twice"),
    Case("fills after the cancel's ack", (plan("fill_after_cancel", count=10, seconds=0.3),), "cancel"),
    Case("cancel refused, state: Filled", (plan("cancel_too_late", count=10, seconds=0.5),), "cancel"),
    Case("cancels refused (161)", (plan("reject_cancel", count=10),), "cancel"),
    Case("cancel frames lost, socket cut", (plan("cut_before_cancel", skip=3),), "cancel"),
    Case("cancels done, socket cut before a word", (plan("cut_after_cancel", skip=3),), "cancel"),
    Case("a person changes quantities and limits", special="amend"),
    Case("changes refused, the originals live", (plan("reject_change", count=10),), "amend"),
    Case("a change in an outage makes a second order", (plan("change_doubles"),), "double"),
    Case("orders refused (201)", (plan("reject_order", count=5, skip=5),), refused=5),
    Case("orders refused (103, id used)", (plan("reject_order", count=5, skip=5, code=103),)),
    Case("10349 on living orders", (plan("inform", count=50),)),
    Case("399 on living orders", (plan("inform", count=50, code=399),)),
    Case("2109 on living orders", (plan("inform", count=50, code=2109),)),
    Case("201 on living orders", (plan("inform", count=20, code=201),)),
    Case("a code nobody knows on living orders", (plan("inform", count=20, code=9999),)),
    Case("an End missing", (plan("missing_end", count=2), (0.4, "drop", {}))),
    Case("Ends slow", (plan("slow_end", count=4, seconds=1.0), (0.4, "drop", {}))),
    Case("answers whole seconds late, and stale", (
        plan("slow_answer", count=4, seconds=2.0), (0.4, "drop", {}),
    )),
    Case("many frames in one packet", (plan("batch_frames", count=50, seconds=0.05),)),
    Case("a time zone nobody knows", (plan("bad_zone", count=50),)),
    Case("silence for 3 s", ((0.4, "fault", {"kind": "silence", "seconds": 3}),)),
    Case("half-open socket", ((0.4, "fault", {"kind": "half_open"}),)),
    Case("connections refused, then slow", (
        plan("refuse_connect", count=3), plan("slow_connect", count=1, seconds=1.0), (0.4, "drop", {}),
    )),
    Case("gateway killed amid the basket", special="kill gateway"),
    Case("TWS killed amid the basket", special="kill venue"),
    # Last on its stage: a process that starts anew knows the configured port only.
    Case("TWS moves to another port", ((0.4, "move", {}),)),
)  # fmt: skip


def _texts(words: dict[str, Decimal]) -> dict[str, str]:
    return {name: str(number) for name, number in words.items()}


class Faults(Torture):
    """Play every case on one stage."""

    refused = 0
    by_hand = 0

    async def begin(self) -> None:
        """Start the three processes, and give prices."""
        self.stage.start_redis()
        self.stage.start_venue()
        self.stage.start_gateway()
        prices = {symbol: f"{cents / 100:.2f}" for symbol, cents in self.household.cents.items()}
        async with self.client() as client:
            await client.publish_prices(prices, source="faults")

    async def play(self, case: Case) -> dict[str, Any]:
        """Play one case; return its row."""
        tally = self.tally
        if case.special == "cancel":
            await self._basket(Case("every name is held, to be sold"))
            await self.compare()
        before = (tally.orders, tally.lost, tally.doubled, tally.book_differences, self.refused)
        began = time.monotonic()
        struck, self.by_hand = sum(self.tell("struck")["struck"].values()), 0
        state = await self._basket(case)
        self.tell("clear")
        await self.compare()
        now = (tally.orders, tally.lost, tally.doubled, tally.book_differences, self.refused)
        orders, lost, doubled, differences, refused = (b - a for a, b in zip(before, now, strict=True))
        if refused != case.refused:
            self.complain(f"{refused} orders are refused, not {case.refused}")
            lost += abs(refused - case.refused)
        struck = max(0, sum(self.tell("struck")["struck"].values()) - struck)  # it forgets when it is killed
        struck += self.by_hand
        return {
            "case": case.name, "orders": orders, "struck": struck, "ended": state, "lost": lost,
            "doubled": doubled, "differences": differences, "seconds": time.monotonic() - began,
        }  # fmt: skip

    async def replayed(self) -> tuple[Engine, set[str]]:
        """Expect nothing at the venue of what it refused, or of what was cancelled before it left."""
        engine, intended = await super().replayed()
        at_venue = {order["cl_ord_id"] for order in self.stage.record()["orders"]}
        gone = {
            name
            for name, order in engine.state.orders.items()
            if order.ord_status is OrdStatus.REJECTED
            or (order.ord_status is OrdStatus.CANCELED and order.is_unsent)
        }
        self.refused = sum(one.ord_status is OrdStatus.REJECTED for one in engine.state.orders.values())
        return engine, intended - (gone - at_venue)

    async def _basket(self, case: Case) -> str:
        """Submit a basket, do the deeds at their times, and wait for its end."""
        self.tally.baskets += 1
        request_id = f"basket-{self.tally.baskets}"
        for at, command, words in case.deeds:
            if not at:
                self.tell(command, **words)
        if case.special in RESTING:
            self._move_prices("0.95")  # sales rest: there is something to cancel or to change
        async with self.client() as client:
            targets = self.household.targets(self.rng)
            if case.special == "cancel":  # a hundred sales at once, none of which waits for another
                targets = dict.fromkeys(targets, "0")
            await client.submit(targets, account="main", request_id=request_id, lifetime_s=3600)
        began = time.monotonic()
        for at, command, words in sorted(case.deeds, key=lambda deed: deed[0]):
            if at:
                await asyncio.sleep(max(0.0, began + at - time.monotonic()))
                self.tell(command, **words)
                self.by_hand += command != "fault"
        if case.special:
            await self._special(case.special, request_id)
        while time.monotonic() - began < BASKET_S:
            self.revive()
            body = await self.request(request_id)
            if body is not None and RequestState(body["state"]).is_final:
                return str(body["state"])
            await asyncio.sleep(0.1)
        self.tally.book_differences += 1
        return "NEVER ENDED"

    async def _special(self, what: str, request_id: str) -> None:
        """Do what needs more than a command."""
        await asyncio.sleep(0.5)
        if what.startswith("kill"):
            await self.kill(what.removeprefix("kill "))
            self.by_hand += 1
        elif what == "cancel":
            await self._all_rest()
            async with self.client() as client:
                await client.cancel(request_id)
            await asyncio.sleep(1.0)
            self._move_prices("1")
        elif what == "amend":
            await self._amend()
            self._move_prices("1")
        elif what == "double":
            await self._double(request_id)
        else:
            await self._correct(times=2 if what.endswith("twice") else 1)

    def _move_prices(self, by: str) -> None:
        """Move the venue's market to a share of where it began."""
        for symbol, cents in self.household.cents.items():
            px = (Decimal(by) * cents / 100).quantize(Decimal("0.01"))
            self.tell("price", symbol=symbol, price=str(px))

    async def _resting(self, least: int = 1) -> list[dict[str, Any]]:
        """Return what works at the venue, once at least so much does."""
        for _ in range(100):
            found = [one for one in self.stage.record()["orders"] if one["status"] == "new"]
            if len(found) >= least:
                return found
            await asyncio.sleep(0.1)
        seen = Counter(one["status"] for one in self.stage.record()["orders"])
        raise TimeoutError(f"{least} orders never rested; the venue has {dict(seen)}")

    async def _all_rest(self) -> None:
        """Wait until the whole wave rests: its number has not changed for half a second."""
        seen, since = 0, time.monotonic()
        while not seen or time.monotonic() - since < SETTLED_S:
            resting = len(await self._resting())
            if resting != seen:
                seen, since = resting, time.monotonic()
            await asyncio.sleep(0.1)

    async def _amend(self) -> None:
        """Change orders as a person at the screen of TWS does: more, less, at another limit."""
        for number, one in enumerate((await self._resting(15))[:15]):
            qty, price = Decimal(str(one["qty"])), Decimal(str(one["price"]))
            words = ({"qty": qty + 1}, {"qty": max(qty - 3, Decimal(1))}, {"price": price - Decimal("0.02")})
            answer = self.tell("amend", cl_ord_id=str(one["perm_id"]), **_texts(words[number % 3]))
            self.by_hand += "refused" not in answer  # what is refused is counted where it struck

    async def _double(self, request_id: str) -> None:
        """Change an order while TWS has lost IBKR: two live then, until a person cancels one and resumes."""
        first = (await self._resting(15))[0]
        self.tell("lost")
        self.tell("amend", cl_ord_id=str(first["perm_id"]), qty=str(Decimal(str(first["qty"])) - 1))
        self.tell("restored", code=1102)
        await self._until_halted(request_id)
        same = [one for one in await self._resting() if one["cl_ord_id"] == first["cl_ord_id"]]
        (second,) = [one for one in same if one["perm_id"] != first["perm_id"]]
        self.tell("withdraw", cl_ord_id=str(second["perm_id"]))
        self._move_prices("1")
        async with self.client() as client:
            await client.resume("main")

    async def _until_halted(self, request_id: str) -> None:
        """Wait until the gateway has stopped the account, as it must."""
        for _ in range(100):
            async with self.client() as client:
                status = await client.status()
            if status is not None and "two orders at the broker" in str(status):
                return
            await asyncio.sleep(0.1)
        self.complain(f"{request_id}: two orders under one reference, and nobody stopped the account")
        self.tally.doubled += 1

    async def _correct(self, times: int) -> None:
        """Correct (or bust and correct) some executions of the last orders, as a broker does."""
        await asyncio.sleep(1.0)
        for _ in range(times):
            orders = [one for one in self.stage.record()["orders"][-60:] if one["fills"]][:5]
            for fill in (one["fills"][0] for one in orders):
                px = f"{float(fill['last_px']) - 0.01 * times:.2f}"
                self.tell("correct", exec_id=fill["exec_id"], qty=str(fill["last_qty"]), price=px)
                self.by_hand += 1

    def tell(self, command: str, **words: Any) -> dict[str, Any]:
        """Tell the venue something; one that is restarting is told again."""
        for _ in range(50):
            with contextlib.suppress(OSError):
                answer = ask(self.stage.control_port, command, **words)
                if "error" in answer:
                    raise VenueError(answer["error"])
                return answer
            self.revive()
            time.sleep(0.1)
        raise TimeoutError(command)


async def run(folder: Path, seed: int, cases: list[Case]) -> list[dict[str, Any]]:
    """Play the cases, printing a row each; every so many begin a new day on a stage of their own."""
    print(f"{'fault':45s} {'orders':>6s} {'struck':>6s} {'ended':>10s} lost doubled book  seconds")
    rows = []
    for day, first in enumerate(range(0, len(cases), A_DAY)):
        faults = Faults(folder / f"day-{day}", seed + day, KIT)
        try:
            await faults.begin()
            for case in cases[first : first + A_DAY]:
                rows.append(await faults.play(case))
                print(_words(rows[-1]), flush=True)
        finally:
            faults.stage.close()
    return rows


def _words(row: dict[str, Any]) -> str:
    book = "DIFFERS" if row["differences"] else "equal"
    return (
        f"{row['case']:45s} {row['orders']:6d} {row['struck']:6d} {row['ended']:>10s} {row['lost']:4d} "
        f"{row['doubled']:7d} {book:7s} {row['seconds']:4.0f}"
    )


def main() -> int:
    """Play every case; print a table, and a JSON object as the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="play the cases whose name holds this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="keep state and logs in this folder")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.only in case.name]
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="gateway-faults-"))
    rows = asyncio.run(run(folder, arguments.seed, cases))
    wrong = [row["case"] for row in rows if row["lost"] or row["doubled"] or row["differences"]]
    if arguments.keep is None and not wrong:
        shutil.rmtree(folder, ignore_errors=True)
    elif wrong:
        print(f"state and logs are kept in {folder}")
    figures = {
        "venue": "ibkr", "faults": len(rows), "orders": sum(row["orders"] for row in rows),
        **{key: sum(row[key] for row in rows) for key in ("lost", "doubled", "differences")},
    }  # fmt: skip
    print(json.dumps(figures))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
