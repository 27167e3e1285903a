"""What the venue says when it is asked: one order, all of them, and the fills behind a total.

Rules of this room:
1. An answer is passed over when something newer was told while it was on its way.
2. A total higher than what was told execution by execution is followed up: the account's FILL activities give
   each execution its price; what they do not say yet, the order's average does.
3. A total that fell, with no word about why, is a bust nobody told us of: it is reported as one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from adapters.alpaca.calls import Calls, Urgency
from adapters.alpaca.client import Answer, NoAnswer
from adapters.alpaca.codec import Unreadable, filled_qty, is_ours, moment, read_fill, read_order
from adapters.alpaca.memory import Memory, Seen
from adapters.alpaca.outbox import Outbox
from gateway.domain.order import ExecType, Report

Json = Mapping[str, Any]
FEW = 3
"""So many orders are asked for one by one, more with one question for all."""
PAGE, FILLS_PAGE, MAX_PAGES = 500, 100, 40
NOT_FOUND = 404
TRIES = 3
BY_NAME = "/orders:by_client_order_id"


class Asking:
    """Ask about orders and tell the gateway what comes back."""

    def __init__(self, calls: Calls, memory: Memory, outbox: Outbox, account: str) -> None:
        self._calls = calls
        self._account = account
        self._memory = memory
        self._outbox = outbox

    async def about(self, names: Iterable[str]) -> bool:
        """Ask about orders by ClOrdID(11), tell each answer; say whether one was news.

        Raises `NotSent` and `NoAnswer`: what was not told by then is to be asked for again.
        """
        wanted = set(names)
        is_news = False
        if len(wanted) > FEW:
            asked_at = self._memory.clock
            found = [one for one in await self._recent(wanted) if one.get("client_order_id") in wanted]
            is_news = await self.tell(found, asked_at)
            wanted -= {str(one.get("client_order_id")) for one in found}
        for name in sorted(wanted):
            answer, asked_at = await self._settled(name)
            if answer.status == NOT_FOUND:
                self._outbox.unknown(name)
            elif answer.is_good and isinstance(answer.body, dict):
                is_news |= await self.tell([answer.body], asked_at)
            else:
                raise NoAnswer(f"asked about {name}: {answer.message}")
        return is_news

    async def _settled(self, name: str) -> tuple[Answer, int]:
        """Ask for one order, again while "not found" is the answer to a question put before it was sent."""
        for _ in range(TRIES):
            asked_at = self._memory.clock
            answer = await self.one(name)
            if answer.status != NOT_FOUND or not self._memory.of(name).is_newer(asked_at):
                return answer, asked_at
        raise NoAnswer(f"asked about {name}: it is being sent")

    async def one(self, name: str) -> Answer:
        """Ask for one order by its ClOrdID(11)."""
        return await self._calls.ask(Urgency.LOOK_UP, "GET", BY_NAME, {"client_order_id": name})

    async def open_orders(self, symbol: str = "") -> list[Json]:
        """Ask for everything that works, or all of one symbol."""
        wanted = {"status": "open", **({"symbols": symbol} if symbol else {})}
        return await self._pages(wanted, lambda _found: False)

    async def tell(self, orders: Iterable[Json], asked_at: int) -> bool:
        """Tell the gateway how orders stand; say whether that was news to us."""
        current = [one for one in orders if not self._is_old(one, asked_at)]
        is_news = any(self._is_news(one) for one in current)
        behind = [one for one in current if filled_qty(one) > self._memory.of(_name(one)).told]
        fills = await self._fills(behind) if behind else {}
        for order in current:
            if self._is_old(order, asked_at):
                continue  # something newer was told while its fills were asked for
            try:
                self._tell_one(order, fills.get(str(order.get("id")), []))
            except Unreadable as problem:
                self._outbox.unreadable(json.dumps(order, default=str), str(problem))
        return is_news

    def tell_halt(self, seen: Seen, report: Report, status: str) -> None:
        """Tell a person, once each time, that an order works and does not trade: its symbol may be halted."""
        if seen.becomes_halted(status):
            text = f"{report.symbol} {report.cl_ord_id}: {report.text}; {report.symbol} may be halted"
            self._outbox.notice("warning", text, self._account)

    # The inside.

    def _is_old(self, order: Json, asked_at: int) -> bool:
        return self._memory.of(_name(order)).heard_at > asked_at

    def _is_news(self, order: Json) -> bool:
        seen = self._memory.of(_name(order))
        return bool(seen.order_id) and (seen.status != order.get("status") or seen.told != filled_qty(order))

    def _tell_one(self, order: Json, fills: list[Json]) -> None:
        """Tell the executions we have not told, then how the order stands."""
        report = read_order(order)
        seen = self._memory.hear(_name(order))
        told = (read_fill(row, order) for row in fills)
        for fill in sorted(told, key=lambda one: one.cum_qty):  # of one millisecond, rows come in any order
            if seen.told < fill.cum_qty <= report.cum_qty:
                self._outbox.report(fill)
                seen.told = fill.cum_qty
        if report.cum_qty < seen.told:
            report = replace(report, exec_type=ExecType.TRADE_CANCEL, exec_ref_id="?")
        self.tell_halt(seen, report, str(order.get("status")))
        self._outbox.report(report)
        seen.told = report.cum_qty
        seen.order_id, seen.symbol, seen.status = report.order_id, report.symbol, str(order.get("status"))

    async def _recent(self, wanted: set[str]) -> list[Json]:
        """Ask for all orders, newest first, until every one wanted was seen."""
        left = set(wanted)

        def has_all(page: list[Json]) -> bool:
            left.difference_update(str(one.get("client_order_id")) for one in page)
            return not left

        return await self._pages({"status": "all"}, has_all)

    async def _pages(self, parameters: dict[str, str], is_enough: Any) -> list[Json]:
        found: list[Json] = []
        cursor: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            asked = {**parameters, "limit": str(PAGE), "direction": "desc", "nested": "false", **cursor}
            answer = await self._calls.ask(Urgency.LOOK_UP, "GET", "/orders", asked)
            if not answer.is_good or not isinstance(answer.body, list):
                raise NoAnswer(answer.message)
            page: list[Json] = answer.body
            found += page
            if len(page) < PAGE or is_enough(page):
                break
            cursor = {"before_order_id": str(page[-1].get("id"))}
        return found

    async def _fills(self, orders: list[Json]) -> dict[str, list[Json]]:
        """Ask for the executions of orders, oldest first, by OrderID(37)."""
        wanted = {str(one.get("id")) for one in orders}
        asked: dict[str, str] = {"direction": "asc", "page_size": str(FILLS_PAGE)}
        if len(wanted) == 1:
            asked["order_id"] = next(iter(wanted))
        times = [moment(one.get("submitted_at") or one.get("created_at")) for one in orders]
        if begins := [one for one in times if one is not None]:
            asked["after"] = (min(begins) - timedelta(seconds=1)).isoformat().replace("+00:00", "Z")
        found: dict[str, list[Json]] = {}
        for _ in range(MAX_PAGES):
            answer = await self._calls.ask(Urgency.LOOK_UP, "GET", "/account/activities/FILL", asked)
            page = answer.body if answer.is_good and isinstance(answer.body, list) else []
            for row in page:
                if row.get("order_id") in wanted:
                    found.setdefault(str(row["order_id"]), []).append(row)
            if len(page) < FILLS_PAGE:
                break
            asked["page_token"] = str(page[-1].get("id"))
        return found


def _name(order: Json) -> str:
    """Name an order as we would: by its ClOrdID(11) when it is ours."""
    name = str(order.get("client_order_id") or "")
    return name if is_ours(name) else str(order.get("id") or name)
