"""Three lines of Python that submit targets and wait for what came of them.

    async with GatewayClient("state", "main") as gateway:
        ticket = await gateway.submit({"AAPL": "0.25", "MSFT": "0.25"}, account="A1")
        result = await gateway.wait(ticket)

Rules of this room:
1. The client only appends to input streams and reads what everybody may read; any language can do the
   same. It needs no answer from the gateway to submit: the stream keeps the message.
2. Every write may be repeated: a request is known by its `request_id`, a command asks for a state.
3. `wait` looks at the read model after every piece of news and every second, so it cannot miss the end.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from gateway.domain.request import Mode, Others, PolicyName, Regime, RequestState
from gateway.errors import InvalidTargets, StoreUnavailable
from gateway.runtime.clock import Clock, clock_of
from gateway.runtime.commands import parse_command, parse_prices
from gateway.runtime.connect import BLOCK_MS, READ_TIMEOUT_S, connect, unix_url
from gateway.runtime.embedded import socket_path
from gateway.runtime.keys import Keys
from gateway.runtime.schema import Weight, check_times, plain, read_message, read_weights
from gateway.runtime.signing import sign
from gateway.runtime.store import Patience
from gateway.runtime.styles import written
from gateway.runtime.wire import decode_json, encode_json

T = TypeVar("T")

ANSWER_TIMEOUT_S: Final = 10.0
CONNECTIONS: Final = 64
PRICES_KEPT: Final = 10_000
REJECTED_SHOWN: Final = 1_000
LETTERS_A_PAGE: Final = 100
LETTER_FIELDS: Final = ("at", "stream", "id", "field", "reason")
_GLOB = re.compile(r"([*?\[\]\\])")


@dataclass(frozen=True, slots=True)
class Ticket:
    """Name a submitted request: its id and the entry it became on the stream."""

    request_id: str
    entry_id: str = ""
    stream: str = "targets"


@dataclass(frozen=True, slots=True)
class Result:
    """Say how a request ended; `body` is its read model."""

    request_id: str
    state: RequestState
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def is_done(self) -> bool:
        """Say whether the request came to a good end: done, held as not worth trading, or previewed."""
        return self.state in (RequestState.DONE, RequestState.HELD, RequestState.PREVIEWED)


class GatewayClient:
    """Talk to the gateway of one household.

    `where` is a Redis URL or the gateway's state folder; `key` signs every message under `key_id`.
    """

    def __init__(
        self,
        where: str | Path,
        household: str,
        *,
        key: str = "",
        key_id: str = "default",
        clock: Clock | None = None,
    ) -> None:
        is_url = isinstance(where, str) and "://" in where
        folder = None if is_url else Path(where)
        url = str(where) if folder is None else unix_url(socket_path(folder))
        self._redis = connect(url, READ_TIMEOUT_S, CONNECTIONS)
        self._clock = clock or clock_of(folder)
        self._keys = Keys(household)
        self._key = key
        self._key_id = key_id
        self._patiently = Patience()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _ask(self, command: Callable[[], Awaitable[T]]) -> T:
        """Run a repeatable command, over a restart of Redis too; `StoreUnavailable` after ten seconds."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await self._patiently(command)
        except TimeoutError:
            raise StoreUnavailable(
                f"Redis does not answer within {ANSWER_TIMEOUT_S:.0f} s: start the gateway (it starts the "
                "embedded server), or correct the url"
            ) from None

    # -------------------------------------------------------------------------------------- writing

    async def submit(
        self,
        weights: Mapping[str, Weight],
        *,
        account: str,
        request_id: str = "",
        lifetime_s: float = 300.0,
        as_of: datetime | None = None,
        expires_at: datetime | None = None,
        others: Others | str = Others.KEEP,
        mode: Mode | str = Mode.EXECUTE,
        regime: Regime | str = Regime.NORMAL,
        execution: Mapping[str, Any] | None = None,
        policy: PolicyName | str = "",
    ) -> Ticket:
        """Put target weights on the stream and return at once; the same `request_id` is the same request.

        Weights are fractions of net asset value: text, Decimal, or floats (cut, not rounded, to ten places).
        `execution` is how to work it, like {"style": "twap", "duration_s": 600, "slices": 10};
        `policy` is the rule to decide by, the account's own when empty. `as_of` is now unless given;
        `expires_at`, when given, counts instead of `lifetime_s`. What the gateway would refuse for its shape
        or its times is refused here: `InvalidTargets`.
        """
        now = self._clock.now()
        request_id = request_id or f"{account}-{secrets.token_hex(8)}"
        raw = encode_json(
            {
                "schema_version": 1,
                "request_id": request_id,
                "account": account,
                "as_of": as_of or now,
                "expires_at": expires_at or now + timedelta(seconds=lifetime_s),
                "targets": {symbol: plain(symbol, weight) for symbol, weight in weights.items()},
                "others": str(others),
                "mode": str(mode),
                "regime": str(regime),
            }
            | ({"execution": written(execution)} if execution else {})
            | ({"policy": str(policy)} if policy else {})
        )
        message = read_message(raw)
        check_times(message, now)
        read_weights(message.targets, allow_short=True)
        return Ticket(request_id, await self._put(self._keys.targets, raw))

    async def harvest(
        self,
        account: str,
        *,
        mode: Mode | str = Mode.PREVIEW,
        request_id: str = "",
        lifetime_s: float = 300.0,
    ) -> Ticket:
        """Ask for the losses worth taking: only show them, or sell them into their substitutes."""
        request_id = request_id or f"harvest-{secrets.token_hex(8)}"
        expires_at = self._clock.now() + timedelta(seconds=lifetime_s)
        words = {"account": account, "request_id": request_id, "mode": str(mode), "expires_at": expires_at}
        return Ticket(request_id, await self._command("harvest", **words), "commands")

    async def _put(self, key: str, raw: bytes, kept: int | None = None) -> str:
        """Append one message to an input stream, signed when we have a key."""
        fields: dict[Any, Any] = {"d": raw}
        if self._key:
            fields["sig"] = sign(raw, self._key, self._key_id)
        entry_id: Any = await self._ask(lambda: self._redis.xadd(key, fields, maxlen=kept))
        return str(entry_id, "ascii")

    async def _command(self, command: str, **fields: object) -> str:
        """Put a command on its stream; one the gateway would refuse is refused here: `InvalidTargets`."""
        body = {"command": command} | {name: value for name, value in fields.items() if value != ""}
        raw = encode_json(body)
        parse_command(raw, self._clock.now())
        return await self._put(self._keys.commands, raw)

    async def halt(
        self, account: str = "", *, reason: str = "", by: str = "client", cancel_working: bool = False
    ) -> str:
        """Stop sending for one account (all when empty); returns the entry id."""
        return await self._command(
            "halt", account=account, reason=reason, by=by, cancel_working=cancel_working
        )

    async def resume(self, account: str = "", *, reasons: Sequence[str] = (), by: str = "client") -> str:
        """Release these reasons of a halt, word for word, all when none is given; returns the entry id."""
        return await self._command("resume", account=account, reasons=list(reasons) or "", by=by)

    async def approve(self, request_id: str, *, by: str = "client") -> str:
        """Approve a request that waits for it; returns the entry id."""
        return await self._command("approve", request_id=request_id, by=by)

    async def cancel(self, request_id: str, *, by: str = "client") -> str:
        """Cancel everything of a request that still works; returns the entry id."""
        return await self._command("cancel", request_id=request_id, by=by)

    async def settle(
        self, cl_ord_id: str, cum_qty: str | Decimal, avg_px: str | Decimal = "0", *, by: str = "client"
    ) -> str:
        """State how an order in doubt ended: all that filled of it, and at what average price.

        For an order the venue cannot be asked about any more; returns the entry id.
        """
        return await self._command(
            "settle", cl_ord_id=cl_ord_id, cum_qty=_decimal_text(cum_qty), avg_px=_decimal_text(avg_px), by=by
        )

    async def return_capital(
        self, account: str, symbol: str, amount: str | Decimal, *, by: str = "client"
    ) -> str:
        """State that `amount` of what an account's `symbol` cost came back; returns the entry id."""
        return await self._command(
            "return_capital", account=account, symbol=symbol, amount=_decimal_text(amount), by=by
        )

    async def spin_off(
        self, account: str, symbol: str, new_symbol: str, qty: str | Decimal, fraction: str | Decimal, *,
        by: str = "client",
    ) -> str:  # fmt: skip
        """State that `qty` of `new_symbol` came for `symbol`, with `fraction` of its cost."""
        return await self._command(
            "spin_off", account=account, symbol=symbol, new_symbol=new_symbol, qty=_decimal_text(qty),
            fraction=_decimal_text(fraction), by=by,
        )  # fmt: skip

    async def publish_prices(self, prices: Mapping[str, str | Decimal], *, source: str = "") -> str:
        """Give the gateway reference prices that are true now; returns the entry id.

        Raises `InvalidTargets` naming the first price that is none; nothing is published then.
        """
        quotes = {symbol: _decimal_text(price) for symbol, price in prices.items()}
        now = self._clock.now()
        raw = encode_json({"as_of": now, "prices": quotes, "source": source})
        parse_prices(raw, now)
        return await self._put(self._keys.prices, raw, PRICES_KEPT)

    # -------------------------------------------------------------------------------------- reading

    async def _model(self, key: str) -> dict[str, Any] | None:
        data: Any = await self._ask(lambda: self._redis.get(key))
        return None if data is None else decode_json(data)

    async def status(self) -> dict[str, Any] | None:
        """Return the gateway's own state as it last showed it; None: it never ran."""
        return await self._model(self._keys.status)

    async def book(self) -> dict[str, Any] | None:
        """Return cash, positions and lots."""
        return await self._model(self._keys.book)

    async def request(self, request_id: str) -> dict[str, Any] | None:
        """Return one request as it stands; None: not known (yet)."""
        return await self._model(self._keys.request(request_id))

    async def decision(self, request_id: str) -> dict[str, Any] | None:
        """Return what was decided for one request, with every number; None: nothing yet."""
        return await self._model(self._keys.decision(request_id))

    async def order(self, cl_ord_id: str) -> dict[str, Any] | None:
        """Return one order as it stands; None: not known (yet)."""
        return await self._model(self._keys.order(cl_ord_id))

    async def orders(self, request_id: str | None = None) -> list[dict[str, Any]]:
        """Return all orders shown, or those of one request, by wave and ClOrdID(11)."""
        pattern = _GLOB.sub(r"\\\1", self._keys.prefix) + "order:*"
        found: list[dict[str, Any]] = []
        cursor: Any = 0
        while True:
            cursor, names = await self._ask(
                lambda cursor=cursor: self._redis.scan(cursor, match=pattern, count=1000)  # type: ignore[misc]
            )
            values: Any = await self._ask(lambda names=names: self._redis.mget(names)) if names else []  # type: ignore[misc]
            found += [decode_json(value) for value in values if value is not None]
            if not cursor:
                break
        unique = {order.get("cl_ord_id", ""): order for order in found}
        wanted = [one for one in unique.values() if request_id is None or one.get("request_id") == request_id]
        return sorted(wanted, key=lambda one: (one.get("wave", 0), one.get("cl_ord_id", "")))

    async def rejected(self, count: int = REJECTED_SHOWN) -> list[dict[str, str]]:
        """Return the newest `count` dead letters, oldest first: at, stream, id, field and reason of each."""
        found: list[dict[str, str]] = []
        end = "+"
        while len(found) < count:
            size = min(LETTERS_A_PAGE, count - len(found))
            page: Any = await self._ask(
                lambda end=end, size=size: self._redis.xrevrange(self._keys.rejected, end, count=size)  # type: ignore[misc]
            )
            found += [_letter(row) for _, row in page]
            if len(page) < size:
                break
            end = f"({page[-1][0].decode()}"
        return found[::-1]

    async def _next(self, positions: dict[str, str], block_ms: int = BLOCK_MS) -> list[tuple[str, str, Any]]:
        """Return (key, entry id, fields) of what is new behind `positions`, and move them on."""
        streams: Any = positions
        answer: Any = await self._ask(lambda: self._redis.xread(streams, count=500, block=block_ms))
        rows = [
            (key.decode(), entry_id.decode(), row) for key, page in answer or () for entry_id, row in page
        ]
        positions.update({key: entry_id for key, entry_id, _ in rows})
        return rows

    async def _end_of(self, key: str) -> str:
        last: Any = await self._ask(lambda: self._redis.xrevrange(key, count=1))
        return last[0][0].decode() if last else "0-0"

    async def news(self, after: str = "$") -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield (entry id, news) for ever: from now on, behind an entry id, or all that is kept ("0")."""
        positions = {self._keys.news: await self._end_of(self._keys.news) if after == "$" else after}
        while True:
            for _, entry_id, row in await self._next(positions):
                yield entry_id, decode_json(row[b"d"])

    async def wait(self, ticket: Ticket | str, timeout_s: float = 60.0) -> Result:
        """Return how the request ended; raises `InvalidTargets` when the gateway refused the message.

        TimeoutError when it has not ended after `timeout_s`; it goes on nevertheless.
        """
        if isinstance(ticket, str):
            ticket = Ticket(ticket)
        positions = {self._keys.news: await self._end_of(self._keys.news)}
        if ticket.entry_id:
            submitted_ms = int(ticket.entry_id.partition("-")[0])
            positions[self._keys.rejected] = f"{max(0, submitted_ms - 60_000)}-0"
        body: dict[str, Any] | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    body = await self.request(ticket.request_id)
                    if body is not None and (state := RequestState(body["state"])).is_final:
                        return Result(ticket.request_id, state, body)
                    for key, _, row in await self._next(positions):
                        if key == self._keys.rejected:
                            _raise_if_refused(row, ticket)
        except TimeoutError:
            state_now = "not seen by a gateway yet" if body is None else body["state"]
            raise TimeoutError(
                f"request {ticket.request_id} has not ended in {timeout_s:.0f} s ({state_now}); it goes on"
            ) from None


def _letter(row: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return a dead letter without the message itself, which may be long and secret."""
    return {name: row.get(name.encode(), b"").decode("utf-8", "replace") for name in LETTER_FIELDS}


def _raise_if_refused(letter: Mapping[bytes, bytes], ticket: Ticket) -> None:
    """Raise when this dead letter is the ticket's own entry."""
    mine = (ticket.entry_id.encode(), ticket.stream.encode())
    if (letter.get(b"id"), letter.get(b"stream")) == mine:
        raise InvalidTargets(letter[b"field"].decode(), letter[b"reason"].decode())


def submit_targets(
    where: str | Path,
    household: str,
    weights: Mapping[str, Weight],
    *,
    account: str,
    timeout_s: float = 60.0,
    key: str = "",
    key_id: str = "default",
    **options: Any,
) -> Result:
    """Submit weights and wait for the end, for programs without asyncio; options as in `submit`."""

    async def run() -> Result:
        async with GatewayClient(where, household, key=key, key_id=key_id) as gateway:
            ticket = await gateway.submit(weights, account=account, **options)
            return await gateway.wait(ticket, timeout_s)

    return asyncio.run(run())


def _decimal_text(value: str | Decimal) -> str:
    """Write a decimal as the streams want it: digits and a point, no exponent."""
    return format(value, "f") if isinstance(value, Decimal) else value
