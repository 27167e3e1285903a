"""The ledger: trades in, lines and open lots out.

Rules of this room:
1. Trades come in order of time; `play.run` sees to it. What else happens to lots stands in `actions.py`.
2. The losses of one order are matched after its last execution of the day: what it sold replaces nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import count

from gateway.domain.lots import Sale, is_long_term
from gateway.domain.tax.lots import Holding, Line, TaxLot
from gateway.domain.tax.matching import Family, Loss, identity
from gateway.domain.tax.record import Deed, Trade
from gateway.domain.tax.rules import ZERO, Holder, Rules, Security, SecurityKind, TaxError


class Ledger:
    """Keep one household's lots. `holders` and `securities` may be empty: unknown names are plain ones."""

    def __init__(
        self,
        rules: Rules | None = None,
        holders: Mapping[str, Holder] | None = None,
        securities: Mapping[str, Security] | None = None,
    ) -> None:
        self.rules = rules or Rules()
        self.holders = dict(holders or {})
        self.securities = dict(securities or {})
        self.lines: list[Line] = []
        self.holdings: dict[tuple[str, str, bool], Holding] = {}
        self.families: dict[str, Family] = {}
        self._family_of: dict[str, Family] = {}
        self._number = count(1)
        self._orders = count(1)  # negative as keys: no lot has such a number
        self._unmatched: dict[object, list[Loss]] = {}

    # -------------------------------------------------------------------------------------- the trades

    def open(self, trade: Trade) -> TaxLot:
        """Open a lot and let it replace what was sold at a loss before; a fee adds to its basis."""
        deed = trade.deed
        is_short = deed is Deed.SHORT
        basis = self.rules.rounded(trade.amount - trade.fee if is_short else trade.amount + trade.fee)
        holding = self.holding(trade.account, trade.symbol, is_short=is_short)
        lot = self.new_lot(trade, holding.security, basis, trade.lot_id)
        holding.add(lot)
        if deed is Deed.BUY or is_short or self._counts(deed):
            key = (trade.account, trade.symbol, trade.order_id) if trade.order_id else lot.number
            self.acquire(lot, key)
        return lot

    def new_lot(self, trade: Trade, security: Security, basis: Decimal, lot_id: str) -> TaxLot:
        """Make a lot that is nobody's purchase yet."""
        number = next(self._number)
        return TaxLot(
            lot_id or f"{trade.symbol}:{number}", security, trade.on, trade.on, trade.qty, basis,
            number, None, trade.deed is Deed.SHORT, True,  # noqa: FBT003 - positional, a million times over
        )  # fmt: skip

    def acquire(self, lot: TaxLot, key: object) -> None:
        """Let a new lot count as an acquisition; no loss of digital assets is ever washed."""
        security = lot.security
        if security.kind is SecurityKind.CRYPTO:
            return
        lot.is_used = False
        lot.key = key
        family = self._family_of.get(security.symbol) or self.family(security)
        is_short = lot.is_short and not family.stands_for_stock(security, is_short=True)
        family.acquire(lot, is_short=is_short)

    def close(self, trade: Trade, *, is_last: bool = True) -> list[Line]:
        """Close lots and report a line for each; proceeds less fee are shared by quantity."""
        holding = self.holding(trade.account, trade.symbol, is_short=trade.deed is Deed.COVER)
        if trade.qty > holding.qty:
            side = "sold short" if holding.is_short else "held"
            text = (
                f"closes {trade.qty} of {holding.qty} {trade.symbol} {side} in {trade.account} on {trade.on}"
            )
            raise TaxError("qty", text)
        sign = 1 if holding.is_short else -1
        money = self.rules.rounded(trade.amount + sign * trade.fee)
        key = sale_key(trade) if trade.order_id else -next(self._orders)
        lines, losses = [], []
        left = trade.qty
        for lot, size in self.chosen(holding, trade):
            worth = self.rules.part(money, size, left)
            money -= worth
            left -= size
            line, loss = self._closed(holding, lot, size, worth, trade, key)
            lines.append(line)
            if loss is not None and self.rules.same_order_counts:
                self.family(loss.security).lose(loss)
            elif loss is not None:
                losses.append(loss)
        self.lines += lines
        self._match(key, losses, is_last=is_last)
        if holding.is_short and self.rules.covers_count:
            self._note_covers(holding, lines)
        if not holding.is_short and self.rules.long_sales_count:
            self._note_sale(holding, trade, key)
        return lines

    # ------------------------------------------------------------------------------------ what is known

    def security(self, symbol: str) -> Security:
        """Return what a symbol stands for."""
        found = self.securities.get(symbol)
        if found is None:
            found = self.securities[symbol] = Security(symbol)
        return found

    def holder(self, account: str) -> Holder:
        """Return who holds an account."""
        found = self.holders.get(account)
        if found is None:
            found = self.holders[account] = Holder(account)
        return found

    def holding(self, account: str, symbol: str, *, is_short: bool) -> Holding:
        """Return the open lots of a symbol on one side in one account."""
        place = (account, symbol, is_short)
        found = self.holdings.get(place)
        if found is None:
            found = Holding(self.holder(account), self.security(symbol), self.rules, is_short=is_short)
            self.holdings[place] = found
        return found

    def holdings_of(self, symbol: str, account: str = "") -> list[Holding]:
        """Return every holding of a symbol that has lots, in one account or in all."""
        return [
            holding
            for (name, held, _), holding in self.holdings.items()
            if held == symbol and account in ("", name) and holding.qty
        ]

    def family(self, security: Security) -> Family:
        """Return what matches the losses of a security."""
        found = self._family_of.get(security.symbol)
        if found is None:
            stock = security.kind is SecurityKind.STOCK
            under = security if stock else self.security(security.underlying or security.symbol)
            name = identity(under, self.rules)
            found = self.families.get(name)
            if found is None:
                found = self.families[name] = Family(name, self.rules)
            self._family_of[security.symbol] = found
        return found

    def open_lots(self) -> list[TaxLot]:
        """Return every open lot, oldest first."""
        lots = [lot for holding in self.holdings.values() for lot in holding.lots]
        return sorted(lots, key=lambda lot: (lot.acquired, lot.number, lot.sub))

    # -------------------------------------------------------------------------------------- the closing

    def _counts(self, deed: Deed) -> bool:
        """Say whether what was not bought outright is an acquisition that can wash a loss."""
        if deed is Deed.RECEIVE:
            return False
        return self.rules.vests_count if deed is Deed.VEST else self.rules.reinvestments_count

    def chosen(self, holding: Holding, trade: Trade) -> Iterable[tuple[TaxLot, Decimal]]:
        """Choose lots and how much of each, one at a time: a match may have changed what comes next."""
        left = trade.qty
        for lot_id, wanted in trade.lots:
            most = left if wanted is None else min(wanted, left)
            for lot in holding.named(lot_id):
                size = min(lot.qty, most)
                if size:
                    yield lot, size
                left -= size
                most -= size
            if wanted is not None and most > 0 and left > 0:
                raise TaxError("lots", f"{lot_id} has {wanted - most} of the {wanted} that are named")
        method = trade.method or holding.holder.method
        sale = Sale(trade.on, trade.amount / trade.qty, self.rules.rates)
        while left > 0:
            if trade.lots:
                raise TaxError("lots", f"the lots named leave {left} of {trade.qty} open")
            lot = holding.first(method, sale)
            size = min(lot.qty, left)
            yield lot, size
            left -= size

    def _closed(
        self, holding: Holding, lot: TaxLot, size: Decimal, worth: Decimal, trade: Trade, key: object
    ) -> tuple[Line, Loss | None]:
        """Take `size` units out of a lot; return its line, and its loss when there is one that counts."""
        rules, is_short = self.rules, holding.is_short
        piece = holding.part(lot, size)
        holding.cut(lot, piece)
        holder = holding.holder
        line = Line(
            trade.on, holder.name, trade.symbol, size,
            acquired=trade.on if is_short else piece.since, bought=piece.acquired,
            proceeds=piece.basis if is_short else worth, basis=worth if is_short else piece.basis,
            is_long=not is_short and is_long_term(piece.since, trade.on), is_taxed=holder.kind.is_taxed,
            lot_id=piece.lot_id, deferred=-piece.deferred if is_short else piece.deferred,
            kind="short" if is_short else "sale", sale=key,
        )  # fmt: skip
        if rules.sold_lots_count and not piece.is_used:
            piece.sold_as = line
            lot.adopt(piece)
        is_exempt = holder.is_dealer or lot.security.kind is SecurityKind.CRYPTO
        if line.gain >= 0 or not line.is_taxed or is_exempt:
            return line, None
        loss = Loss(
            line, lot.security, size * lot.security.multiplier, -line.gain, piece.acquired, piece.number,
            (trade.on - piece.since).days, piece.key, is_short,
        )  # fmt: skip
        return line, loss

    def _match(self, key: object, losses: list[Loss], *, is_last: bool) -> None:
        """Match the losses of an order, earliest acquired first, once all of it is known."""
        if not is_last or key in self._unmatched:
            losses = self._unmatched.setdefault(key, []) + losses
            self._unmatched[key] = losses
        if is_last:
            self._unmatched.pop(key, None)
            for loss in sorted(losses, key=lambda one: (one.bought, one.number)):
                self.family(loss.security).lose(loss)

    def _note_sale(self, holding: Holding, trade: Trade, key: object) -> None:
        """Remember a sale of what was held: it washes a short sale closed at a loss (IRC 1091(e)(1))."""
        security, number = holding.security, next(self._number)
        if security.kind is SecurityKind.CRYPTO:
            return
        stub = TaxLot(f"sale of {trade.on}", security, trade.on, trade.on, trade.qty, ZERO, number, key)
        self.family(security).acquire(stub, is_short=True)

    def _note_covers(self, holding: Holding, lines: list[Line]) -> None:
        """Let what closed a short sale count as bought; what it disallows goes into that sale."""
        for line in lines:
            number = next(self._number)
            stub = TaxLot(
                line.lot_id, holding.security, line.on, line.on, line.qty, ZERO, number, line.sale,
                sold_as=line,
            )  # fmt: skip
            self.family(holding.security).acquire(stub, is_short=False)


def sale_key(trade: Trade) -> object:
    """Name the sale a trade is part of: one order, one account and one day."""
    return (trade.account, trade.symbol, trade.deed, trade.order_id, trade.on)
