"""The WebSocket of trade updates: handshake, who listens, and what goes wrong on the way.

Rules of this room:
1. A client authenticates, then says what it listens to; each new list replaces the old. Frames are binary, as
   the paper venue's are.
2. Whoever is not connected is not told: nothing is kept, nothing is repeated.
3. Events leave in order, a moment after what caused them was answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from simulator.alpaca.mishaps import Mishap, Mishaps
from simulator.alpaca.words import Json

AFTER_S = 0.002
UPDATES = "trade_updates"


class Streams:
    """Hold every connection; `keys` are the only ones known."""

    def __init__(self, mishaps: Mishaps, keys: tuple[str, str], *, only_one: bool) -> None:
        self._mishaps = mishaps
        self._keys = keys
        self._only_one = only_one
        self._listening: dict[web.WebSocketResponse, web.Request] = {}
        self._open: set[web.WebSocketResponse] = set()
        self._due: list[Json] = []
        self._timer: asyncio.TimerHandle | None = None
        self._mute_until = 0.0
        self._frozen_until = 0.0
        self._thaw = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def tell(self, event: Json) -> None:
        """Send an event to whoever listens, soon."""
        self._due.append(event)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AFTER_S, self._send_due)

    def hurry(self) -> None:
        """Send what is due now."""
        if self._timer is not None:
            self._timer.cancel()
            self._send_due()

    def drop(self) -> None:
        """Break every connection; what is due is told to nobody."""
        self._due.clear()
        for request in self._listening.values():
            if request.transport is not None:
                request.transport.abort()
        self._listening.clear()

    def mute(self, for_s: float) -> None:
        """Say nothing for a while: it is lost."""
        self._mute_until = time.monotonic() + for_s

    def freeze(self, for_s: float) -> None:
        """Neither read nor write for a while."""
        self._frozen_until = time.monotonic() + for_s
        self._thaw.set()

    async def close(self) -> None:
        """Hang up on everybody."""
        for ws in list(self._open):
            await ws.close()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one connection to its end."""
        if self._only_one and self._open:
            return web.json_response({"message": "connection limit exceeded"}, status=429)
        ws = web.WebSocketResponse(heartbeat=None)
        await ws.prepare(request)
        self._open.add(ws)
        has_keys = False
        try:
            while (message := await self._receive(ws)) is not None:
                asked = _read(message)
                if asked.get("action") in ("authenticate", "auth"):
                    has_keys = await self._authenticate(ws, asked)
                elif asked.get("action") == "listen" and has_keys:
                    await self._listen(ws, request, asked)
                elif asked.get("action") == "listen":
                    await _say(
                        ws,
                        {"stream": "authorization", "data": {"status": "unauthorized", "action": "listen"}},
                    )
        finally:
            self._open.discard(ws)
            self._listening.pop(ws, None)
        return ws

    # The inside.

    async def _receive(self, ws: web.WebSocketResponse) -> WSMessage | None:
        """Return the next message of a client, None at its end; a frozen venue reads not even a ping."""
        while True:
            if (frozen_s := self._frozen_until - time.monotonic()) > 0:
                await asyncio.sleep(frozen_s)
            reading = asyncio.ensure_future(ws.receive())
            freezing = asyncio.ensure_future(self._thaw.wait())
            try:
                await asyncio.wait({reading, freezing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                freezing.cancel()
            if reading.done():
                message = reading.result()
                is_said = message.type in (WSMsgType.TEXT, WSMsgType.BINARY)
                return message if is_said else None
            self._thaw.clear()
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    async def _authenticate(self, ws: web.WebSocketResponse, asked: Json) -> bool:
        data = asked.get("data") or {}
        key, secret = (
            str(data.get(long) or asked.get(short) or "")
            for long, short in (("key_id", "key"), ("secret_key", "secret"))
        )
        is_good = (key, secret) == self._keys
        status = "authorized" if is_good else "unauthorized"
        await _say(ws, {"stream": "authorization", "data": {"status": status, "action": "authenticate"}})
        return is_good

    async def _listen(self, ws: web.WebSocketResponse, request: web.Request, asked: Json) -> None:
        streams = (asked.get("data") or {}).get("streams") or []
        if UPDATES in streams:
            self._listening[ws] = request
        else:
            self._listening.pop(ws, None)
        await _say(
            ws, {"stream": "listening", "data": {"streams": [one for one in streams if one == UPDATES]}}
        )

    def _send_due(self) -> None:
        self._timer = None
        events, self._due = self._due, []
        if time.monotonic() < max(self._mute_until, self._frozen_until):
            return
        if len(events) > 1 and self._mishaps.strikes(Mishap.SWAP_EVENTS):
            events = [*events[1:], events[0]]
        if events and self._mishaps.strikes(Mishap.DUPLICATE_EVENT):
            events = [events[0], *events]
        task = asyncio.ensure_future(self._send(events, list(self._listening)))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, events: list[Json], to: list[web.WebSocketResponse]) -> None:
        for event in events:
            for ws in to:
                with contextlib.suppress(ConnectionError, RuntimeError):
                    await _say(ws, {"stream": UPDATES, "data": event})


def _read(message: WSMessage) -> Json:
    try:
        asked: Any = json.loads(message.data)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


async def _say(ws: web.WebSocketResponse, what: Json) -> None:
    await ws.send_bytes(json.dumps(what).encode())
