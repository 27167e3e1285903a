"""Contracts: which one each of our symbols means, on which tick it trades, and which are left alone.

Rules of this room:
1. A symbol is asked about once a day and the answer kept: exactly one contract must fit. None, or several,
   bars the symbol, with a sentence that says what to write; it is asked about again after a while.
2. The tick is the market rule's of the exchange we trade at, at the order's own price.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from adapters.ibkr import said
from adapters.ibkr.codes import Action, row_of
from adapters.ibkr.line import Line, NoAnswer, Refused
from adapters.ibkr.pace import Urgency
from adapters.ibkr.settings import Terms
from adapters.ibkr.wire import Unsendable

KEPT_S = 86_400.0
BARRED_S = 3_600.0
AGAIN_S = 60.0
"""A contract whose market rule was not answered is asked about again so soon."""
TOGETHER = 16
"""So many symbols are asked about at once ahead of any order."""

Steps = tuple[tuple[Decimal, Decimal], ...]
Key = TypeVar("Key")
Value = TypeVar("Value")
Asking = dict[tuple[Key, Line], asyncio.Future[Value]]
"""Questions under way, each over its line: nobody on another line waits for it."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One contract as TWS knows it: its full name, and its ticks from which price on."""

    terms: Terms
    steps: Steps
    until: float

    def tick(self, price: Decimal | None) -> Decimal | None:
        """Return the tick that holds at a price, None where nothing is known."""
        found = [step for edge, step in self.steps if price is not None and edge <= price]
        return found[-1] if found else None


class Contracts:
    """Know the contracts of our symbols."""

    def __init__(self, terms: Mapping[str, Terms], timeout_s: float) -> None:
        self._terms = terms
        self._timeout_s = timeout_s
        self._listed: dict[str, Listed] = {}
        self._rules: dict[int, Steps] = {}
        self._barred: dict[str, tuple[str, float]] = {}
        self._by_id: dict[int, str] = {one.con_id: symbol for symbol, one in terms.items() if one.con_id}
        self._by_name: dict[str, str] = {one.symbol: symbol for symbol, one in terms.items()}
        self._asking: Asking[str, Listed] = {}
        self._ruling: Asking[int, Steps] = {}
        self.whole_only: set[str] = set()

    def symbol_of(self, con_id: int, symbol: str, sec_type: str = "", currency: str = "") -> str:
        """Name a contract of TWS as we do; one that is none of ours keeps its own name.

        An option bears its stock's symbol, and so do a CFD, and the stock's namesake in another currency.
        """
        if (named := self._by_id.get(con_id)) or (named := self._by_name.get(symbol)) is None:
            return named or symbol
        terms, listed = self._terms[named], self._listed.get(named)
        known_id = terms.con_id or (listed.terms.con_id if listed is not None else 0)
        is_another = bool(known_id and con_id) or sec_type not in ("", terms.sec_type)
        if is_another or currency not in ("", terms.currency):
            return " ".join(part for part in (symbol, sec_type, currency, f"conId {con_id}") if part)
        return named

    def bar(self, symbol: str, text: str) -> None:
        """Leave a symbol alone for a while."""
        self._barred[symbol] = (text, asyncio.get_running_loop().time() + BARRED_S)
        self._listed.pop(symbol, None)

    async def of(self, symbol: str, line: Line) -> Listed:
        """Return the contract a symbol means; raises `Unsendable` or `NoAnswer`."""
        now = asyncio.get_running_loop().time()
        listed = self._listed.get(symbol)
        if listed is not None and now < listed.until:
            return listed
        if symbol in self._barred and now < self._barred[symbol][1]:
            raise Unsendable(self._barred[symbol][0])
        if symbol not in self._terms:
            raise Unsendable(f"{symbol} is no instrument of the configuration")
        return await _joined(self._asking, symbol, line, lambda: self._ask(symbol, line))

    def close(self) -> None:
        """End the questions nobody waits for any more."""
        for asked in list(self._asking.values()):
            asked.cancel()
        for ruling in list(self._ruling.values()):
            ruling.cancel()

    async def learn(self, symbols: Iterable[str], line: Line) -> None:
        """Ask about symbols ahead of any order; what cannot be learned now is asked when it is needed."""
        turn = asyncio.Semaphore(TOGETHER)

        async def one(symbol: str) -> None:
            async with turn:
                try:
                    await self.of(symbol, line)
                except (Unsendable, NoAnswer):
                    return

        await asyncio.gather(*(one(symbol) for symbol in symbols))

    async def _ask(self, symbol: str, line: Line) -> Listed:
        terms = self._terms[symbol]
        send: Callable[[int], None] = lambda number: line.tws.ask_contract(number, terms)  # noqa: E731
        try:
            found = await line.ask(said.CONTRACTS_END, Urgency.ORDER, send, self._timeout_s)
        except Refused as refusal:
            if row_of(refusal.code).action not in (Action.BARRED, Action.REFUSED):
                raise NoAnswer(str(refusal)) from None  # it says nothing about the contract
            self.bar(symbol, str(refusal))
            raise Unsendable(str(refusal)) from None
        fitting = [one for one in found if isinstance(one, said.ContractSaid)]
        if len(fitting) != 1:
            places = ", ".join(sorted({one.primary_exchange for one in fitting})) or "none"
            text = (
                f"{len(fitting)} contracts fit {symbol} (primary exchanges: {places}); "
                f"write primary_exchange or con_id in contracts.{symbol}"
            )
            self.bar(symbol, text)
            raise Unsendable(text)
        return await self._keep(symbol, terms, fitting[0], line)

    async def _keep(self, symbol: str, terms: Terms, found: said.ContractSaid, line: Line) -> Listed:
        steps: Steps = ((Decimal(0), found.min_tick),) if found.min_tick else ()
        kept_s = KEPT_S
        if (rule := found.rule_ids.get(terms.exchange)) is not None:
            if ruled := await self._rule(rule, line):
                steps = ruled
            else:  # the least tick of any price may be none at this one
                kept_s = AGAIN_S
        named = replace(
            terms, con_id=found.con_id, primary_exchange=found.primary_exchange or terms.primary_exchange
        )
        until = asyncio.get_running_loop().time() + kept_s
        listed = self._listed[symbol] = Listed(named, steps, until)
        self._by_id[found.con_id] = symbol
        self._barred.pop(symbol, None)
        return listed

    async def _rule(self, number: int, line: Line) -> Steps:
        """Return a market rule's ticks; each rule is asked for once."""
        if number not in self._rules:
            try:
                self._rules[number] = await _joined(
                    self._ruling, number, line, lambda: self._ask_rule(number, line)
                )
            except NoAnswer:
                return ()
        return self._rules[number]

    async def _ask_rule(self, number: int, line: Line) -> Steps:
        found = await line.ask_rule(number, self._timeout_s)
        return next((one.steps for one in found if isinstance(one, said.RuleSaid)), ())


async def _joined(
    asking: Asking[Key, Value], key: Key, line: Line, ask: Callable[[], Coroutine[Any, Any, Value]]
) -> Value:
    """Wait for what somebody has asked over this line already, or ask it."""
    place = (key, line)
    found = asking.get(place)
    if found is None:
        found = asking[place] = asyncio.ensure_future(ask())
        found.add_done_callback(lambda _done: asking.pop(place, None))
    return await asyncio.shield(found)
