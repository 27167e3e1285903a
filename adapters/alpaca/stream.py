"""`alpaca-py`'s TradingStream, hardened: connecting, asking for trade updates, noticing that nobody is there.

Rules of this room:
1. The loop is our own. The client's swallows what a handler cannot take, tries wrong keys for ever, and says
   neither when it is connected nor when it is not; its connecting and its handshake are used as they are.
2. A frozen peer is noticed in about ten seconds: a ping every 4 s, 4 s for the answer, a short goodbye (the
   client waits 190 s). What it takes is measured by `benchmarks/alpaca_detection.py`.
3. A message is handed over as text: whoever takes it decides what cannot be read.
4. Trying again waits longer and longer, until a connection has stood for a while: a venue that hangs up at
   once is not stormed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from alpaca.trading.stream import TradingStream
from websockets.exceptions import WebSocketException

PING_S = 4
GOODBYE_S = 1
HANDSHAKE_S = 10.0
BACKOFF_S = (0.2, 15.0)
STEADY_S = 1.0
"""A connection that stood for so long was one: the next is made at once."""
DOUBLINGS = 10
STREAMS = ("trade_updates",)


class KeysRefused(Exception):
    """The venue does not know the keys: no second try will help."""


class TradeStream(TradingStream):
    """Follow an account's trade updates, over as many connections as it takes.

    `went_up` is awaited when updates are sure to come, `went_down` is told why they no longer do, `take` gets
    each message as text.
    """

    def __init__(
        self, key: str, secret: str, url: str, *, went_up: Callable[[], Awaitable[None]],
        went_down: Callable[[str], None], take: Callable[[str], Awaitable[None]],
    ) -> None:  # fmt: skip
        parameters = {
            "ping_interval": PING_S, "ping_timeout": PING_S, "close_timeout": GOODBYE_S,
            "open_timeout": HANDSHAKE_S, "max_queue": 1024,
        }  # fmt: skip
        super().__init__(key, secret, raw_data=True, url_override=url, websocket_params=parameters)
        self._went_up, self._went_down, self._take = went_up, went_down, take
        self._jitter = Random(key)  # noqa: S311 - only spreads reconnects

    async def follow(self) -> None:
        """Stay connected until cancelled; raises `KeysRefused`."""
        tries, loop = 0, asyncio.get_running_loop()
        while True:
            up_at = None
            try:
                async with asyncio.timeout(HANDSHAKE_S):
                    await self._connect()  # type: ignore[no-untyped-call]
                    await self._shake_hands()
                up_at = loop.time()
                await self._went_up()
                await self._hand_over()
            except (OSError, TimeoutError, WebSocketException) as problem:
                self._went_down(str(problem) or type(problem).__name__)
            finally:
                await self._hang_up()
            if up_at is not None and loop.time() - up_at >= STEADY_S:
                tries = 0
            first, most = BACKOFF_S
            pause_s = min(first * 2**tries, most)
            tries = min(tries + 1, DOUBLINGS)
            await asyncio.sleep(pause_s * self._jitter.uniform(0.5, 1.5))

    async def reconnect(self) -> None:
        """Drop the connection; `follow` makes another."""
        await self._hang_up()

    async def _shake_hands(self) -> None:
        try:
            await self._auth()  # type: ignore[no-untyped-call]
        except (ValueError, AttributeError) as problem:
            if "authenticate" in str(problem):
                raise KeysRefused from None
            raise ConnectionError("the handshake made no sense") from None
        connection: Any = self._ws
        await connection.send(json.dumps({"action": "listen", "data": {"streams": STREAMS}}))
        while True:
            try:
                answer = json.loads(await connection.recv())
            except ValueError:
                continue
            if isinstance(answer, dict) and answer.get("stream") == "listening":
                return

    async def _hand_over(self) -> None:
        connection: Any = self._ws
        while True:
            message = await connection.recv()
            await self._take(message if isinstance(message, str) else message.decode("utf-8", "replace"))

    async def _hang_up(self) -> None:
        with contextlib.suppress(OSError, WebSocketException):
            await self.close()
