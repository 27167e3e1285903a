"""Wash sales, share by share: which acquisition disallows which loss, and where the loss goes on.

Rules of this room:
1. Losses are taken in order of disposition, those of one order in order of acquisition; what replaces them
   in order of acquisition; a share replaces once (Reg. 1.1091-1(b) to (e)).
2. As the record goes on in time, that is: a loss takes what is there, what is missing waits for later
   acquisitions, the oldest waiting loss first. Nothing outside the window is ever looked at again.
3. A disallowed loss goes into the basis of the lot that replaces, which is held that much longer (1091(d),
   1223(3)); in an IRA it is lost (Rev. Rul. 2008-5). A loss on a short sale lowers what the new one brought.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from heapq import merge

from gateway.domain.tax.lots import Line, Match, TaxLot
from gateway.domain.tax.rules import ZERO, AccountKind, Options, Rules, Security, SecurityKind, SubLots

TIDIED = 32
"""Purchases after which those too old are forgotten: now and then is as good as each time, and cheaper."""
TO_ACQUIRE = (SecurityKind.CALL, SecurityKind.CONTRACT)
Purchases = OrderedDict[int, TaxLot]
"""Acquisitions in their order, by number."""


@dataclass(slots=True, eq=False)
class Loss:
    """Hold what of a loss is not matched yet: `left` in shares (of the underlying), `amount` in money.

    `order` is its place among all losses, `number` that of the lot among all lots, `key` its purchase's.
    """

    line: Line
    security: Security
    left: Decimal
    amount: Decimal
    bought: date
    number: int
    held_days: int
    key: object
    is_short: bool
    order: int = 0

    @property
    def on(self) -> date:
        """Return the day of the disposition."""
        return self.line.on


class Family:
    """Match the losses and acquisitions of one set of identical securities and the options on it.

    `bought`, `shorted` and `waiting` are by identity: an option is another identity in its stock's family.
    `standing` names the options whose purchase is an acquisition of the stock.
    """

    __slots__ = (
        "bought", "losses", "name", "parts", "rules", "shorted", "standing", "waiting", "window"
    )  # fmt: skip

    def __init__(self, name: str, rules: Rules) -> None:
        self.name = name
        self.rules = rules
        self.window = rules.window
        self.bought: dict[str, Purchases] = {}
        self.shorted: dict[str, Purchases] = {}
        self.waiting: dict[tuple[str, bool], deque[Loss]] = {}
        self.standing: set[str] = set()
        self.parts = 0
        self.losses = 0

    # ------------------------------------------------------------------------------------ what comes in

    def lose(self, loss: Loss) -> None:
        """Match a loss with what was acquired before it; what is left waits."""
        self.losses += 1
        loss.order = self.losses
        queues = self._queues_for(loss)
        spent: list[int] = []
        for bought in merge(*(queue.values() for queue in queues), key=_number):
            if bought.key != loss.key and self._may_replace(bought, loss):
                if not self._match_all(loss, bought):
                    spent.append(bought.number)
                if not loss.left:
                    break
        for queue in queues:
            for number in spent:
                queue.pop(number, None)
        if loss.left:
            place = (identity(loss.security, self.rules), loss.is_short)
            self.waiting.setdefault(place, deque()).append(loss)

    def acquire(self, bought: TaxLot, *, is_short: bool) -> None:
        """Let an acquisition replace what waits, and remember what is left of it.

        For losses on short sales a short sale acquires, and so does a sale of what is held.
        """
        security, name = bought.security, self.name
        if security.kind is not SecurityKind.STOCK:
            name = identity(security, self.rules)
            if not is_short:
                name = f"{name} written" if bought.is_short else name
                if self.stands_for_stock(security, is_short=bought.is_short):
                    self.standing.add(name)
        if self.waiting and not self._replace_waiting(bought, name, is_short=is_short):
            return
        queues = self.shorted if is_short else self.bought
        queue = queues.get(name)
        if queue is None:
            queue = queues[name] = OrderedDict()
        elif not len(queue) % TIDIED:
            self._forget(queue, bought.acquired)
        queue[bought.number] = bought

    def rescale(self, symbol: str, into: Decimal, of: Decimal) -> None:
        """Count waiting losses and shares already sold in the units after a split."""
        for losses in self.waiting.values():
            for loss in losses:
                if loss.security.symbol == symbol:
                    loss.left = loss.left * into / of
        for queue in (*self.bought.values(), *self.shorted.values()):
            for bought in queue.values():
                for lot in (bought, *(bought.siblings or ())):
                    if lot.holding is None and lot.security.symbol == symbol:
                        lot.qty = lot.qty * into / of

    # --------------------------------------------------------------------------------- what is eligible

    def _queues_for(self, loss: Loss) -> list[Purchases]:
        own = identity(loss.security, self.rules)
        names = [own] if loss.is_short else self._replacing(loss.security, own)
        queues = self.shorted if loss.is_short else self.bought
        found = [queue for name in names if (queue := queues.get(name))]
        for queue in found:
            self._forget(queue, loss.on)
        return found

    def _replacing(self, lost: Security, own: str) -> list[str]:
        """Name the identities whose purchase replaces a loss on `lost`."""
        if own == self.name:
            return [own, *sorted(self.standing - {own})]
        is_both = self.rules.options is Options.BOTH_WAYS and lost.kind in TO_ACQUIRE
        return [own, self.name] if is_both else [own]

    def stands_for_stock(self, security: Security, *, is_short: bool) -> bool:
        """Say whether opening a position in an option is an acquisition of its stock (1091(a), Reg. (f))."""
        if self.rules.options is Options.SAME_OPTION:
            return False
        if is_short:
            return security.kind is SecurityKind.PUT and self.rules.short_puts_count
        return security.kind in TO_ACQUIRE

    def _waiting_for(self, name: str, *, is_short: bool) -> list[tuple[str, bool]]:
        """Name what may wait for an acquisition under `name`."""
        if is_short:
            return [(name, True)]
        if name in self.standing:
            return list(dict.fromkeys([(self.name, False), (name, False)]))
        if name != self.name or self.rules.options is not Options.BOTH_WAYS:
            return [(name, False)]
        options = [
            place for place, losses in self.waiting.items()
            if not place[1] and losses and losses[0].security.kind in TO_ACQUIRE
        ]  # fmt: skip
        return [(name, False), *options]

    def _may_replace(self, bought: TaxLot, loss: Loss) -> bool:
        if self.rules.older_lots_count or loss.is_short:
            return True
        return (bought.acquired, bought.number) > (loss.bought, loss.number)

    def _forget(self, queue: Purchases, on: date) -> None:
        """Drop from the front what is too old or used up."""
        oldest = on - self.window
        while queue:
            number = next(iter(queue))
            bought = queue[number]
            if bought.acquired >= oldest and (bought.is_spare or _spare_parts(bought)):
                return
            del queue[number]

    # -------------------------------------------------------------------------------------- the matches

    def _replace_waiting(self, bought: TaxLot, name: str, *, is_short: bool) -> bool:
        """Match an acquisition with the losses that wait for it; say whether some of it is left."""
        places = self._waiting_for(name, is_short=is_short)
        found = [losses for place in places if (losses := self.waiting.get(place))]
        if not found:
            return True
        for losses in found:
            while losses and losses[0].on + self.window < bought.acquired:
                losses.popleft()
        is_left = True
        for loss in merge(*found, key=_order):
            if loss.key != bought.key:
                is_left = self._match_all(loss, bought)
                if not is_left:
                    break
        self._tidy(places)
        return is_left

    def _tidy(self, places: list[tuple[str, bool]]) -> None:
        """Forget the losses that wait no more."""
        for place in places:
            losses = self.waiting.get(place)
            if losses is None:
                continue
            while losses and not losses[0].left:
                losses.popleft()
            if not losses:
                del self.waiting[place]

    def _match_all(self, loss: Loss, bought: TaxLot) -> bool:
        """Match a loss with one acquisition, as far as both go; say whether some of it is left."""
        for lot in [bought, *_spare_parts(bought)]:
            if not lot.is_spare or (lot.sold_as is not None and lot.sold_as.sale == loss.line.sale):
                continue
            self._match(loss, lot)
            if not loss.left:
                break
        return bought.is_spare or bool(_spare_parts(bought))

    def _match(self, loss: Loss, lot: TaxLot) -> None:
        """Match a loss with one lot: the smaller of the two is matched wholly."""
        unit = lot.security.multiplier
        shares = min(loss.left, lot.qty * unit)
        amount = self.rules.part(loss.amount, shares, loss.left)
        piece = self._piece(lot, lot.qty if shares == lot.qty * unit else shares / unit)
        piece.is_used = True
        is_permanent = self._carry(piece, amount, loss.held_days)
        loss.left -= shares
        loss.amount -= amount
        loss.line.disallowed += amount
        if is_permanent:
            loss.line.permanent += amount
        match = Match(piece.lot_id, _account(piece), piece.acquired, shares / unit, amount, is_permanent)
        loss.line.matches.append(match)

    def _piece(self, lot: TaxLot, qty: Decimal) -> TaxLot:
        """Cut the matched units off a lot; shares already sold are in no holding."""
        if qty == lot.qty:
            piece = lot
        elif lot.holding is not None:
            piece = lot.holding.split(lot, qty)
        else:
            piece = TaxLot(
                lot.lot_id, lot.security, lot.acquired, lot.since, qty, ZERO, lot.number, sold_as=lot.sold_as
            )
            lot.qty -= qty
        self.parts += 1
        piece.sub = (2 if self.rules.sub_lots is SubLots.ADJUSTED_LAST else 0, self.parts)
        return piece

    def _carry(self, piece: TaxLot, amount: Decimal, held_days: int) -> bool:
        """Put a disallowed loss into the piece that replaces; True when it is lost instead."""
        if piece.holding is None:
            return _carry_back(piece, amount)
        if not _carries(piece.holding.holder.kind, self.rules):
            piece.holding.touch(piece)
            return True
        sign = -1 if piece.is_short else 1
        piece.basis += sign * amount
        piece.deferred += sign * amount
        if not piece.is_short:
            piece.since = date.fromordinal(max(1, piece.since.toordinal() - held_days))
        piece.holding.touch(piece)
        return False


def _carry_back(piece: TaxLot, amount: Decimal) -> bool:
    """Put a disallowed loss into the basis of shares sold before; True when nothing carries it."""
    line = piece.sold_as
    if line is None or not line.is_taxed:
        return True
    line.basis += amount
    line.deferred += amount
    return False


def _carries(kind: AccountKind, rules: Rules) -> bool:
    return kind.is_taxed and (kind is not AccountKind.CORPORATION or rules.corporation_defers)


def identity(security: Security, rules: Rules) -> str:
    """Name what is substantially identical to a security, options being identical to themselves only."""
    return security.identical if rules.groups_count and security.identical else security.symbol


def _number(lot: TaxLot) -> int:
    return lot.number


def _order(loss: Loss) -> int:
    return loss.order


def _spare_parts(bought: TaxLot) -> list[TaxLot]:
    """Return the other parts of a purchase that may still replace."""
    return [part for part in bought.siblings if part.is_spare] if bought.siblings else []


def _account(piece: TaxLot) -> str:
    """Name the account that holds a piece, or sold it."""
    if piece.holding is not None:
        return piece.holding.holder.name
    return piece.sold_as.account if piece.sold_as is not None else ""
