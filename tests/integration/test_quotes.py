"""A quote session of real quickfix with the simulated venue: prices, refusals, silence, and their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from patience import until

from adapters.fix import quotes as quotes_module
from adapters.fix.dialects import Venue, session_terms, speak
from adapters.fix.engine import Incoming, Up
from adapters.fix.quotes import QuoteSession
from adapters.fix.settings import FixSession
from gateway.events import PricesUpdated
from simulator.fix.acceptor import Acceptor
from simulator.fix.dialects import DIALECTS
from simulator.fix.message import SessionId
from simulator.fix.terms import SessionConfig
from simulator.fix.venue_app import VenueApp
from simulator.fix.venue_options import Terms
from simulator.market import Listing, Market
from simulator.venue import Venue as Exchange

VENUES = {"plain": {}, "saxo": {"client_id": "C1"}, "dukascopy": {}}
PAIR = "EUR/USD"


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def quoting(dialect: str, port: int = 0) -> AsyncIterator[tuple[VenueApp, Acceptor]]:
    session = SessionId("FIX.4.4", "SIM", "QUOTES")
    market = Market(
        [Listing(PAIR, Decimal("1.1"), Decimal(0)), Listing("GBP/USD", Decimal("1.3"), Decimal(0))]
    )
    spoken = DIALECTS[dialect]
    app = VenueApp(Terms(lambda _: Exchange(market), [session], {}, dialect=spoken))
    config = SessionConfig(
        session, dialect=spoken, username="u" if spoken.needs_login else None,
        password="p" if spoken.needs_login else None,
    )  # fmt: skip
    acceptor = Acceptor(app, [config], port=port)
    await acceptor.start()
    await app.start(acceptor)
    try:
        yield app, acceptor
    finally:
        await acceptor.stop()
        await app.stop()


@asynccontextmanager
async def following(
    dialect: str, acceptor: Acceptor, folder: Path, *symbols: str
) -> AsyncIterator[tuple[QuoteSession, dict[str, Decimal], list[PricesUpdated]]]:
    host, port = acceptor.address
    venue: Venue = speak(dialect, VENUES[dialect])
    terms = session_terms(venue, reset_on_logon=True, heartbeat_s=30, orders_per_s=0)
    has_login = venue.dialect.credentials == "required"
    session = FixSession(
        name="prices", sender_comp_id="QUOTES", target_comp_id="SIM", host=host, port=port,
        store_folder=folder, username="u" if has_login else "", password="p" if has_login else "",
        **{**terms, "reset_on_logon": True, "reset_at": ""},
    )  # fmt: skip
    source = QuoteSession(session, symbols, utc_now, venue, interval_s=0.05)
    await source.start(0)
    known: dict[str, Decimal] = {}
    said: list[PricesUpdated] = []

    async def follow() -> None:
        async for updates in source.events():
            said.extend(updates)
            known.update(updates[-1].prices)

    task = asyncio.create_task(follow())
    try:
        yield source, known, said
    finally:
        await source.stop()
        await task


@pytest.mark.parametrize("dialect", VENUES)
async def test_prices_follow_the_market(dialect: str, tmp_path: Path) -> None:
    async with (
        quoting(dialect) as (app, acceptor),
        following(dialect, acceptor, tmp_path, PAIR, "GBP/USD") as (_, known, said),
    ):
        await until(lambda: known.get(PAIR) == Decimal("1.10"))
        await until(lambda: known.get("GBP/USD") == Decimal("1.30"))
        app.operate("price", {"symbol": PAIR, "price": "1.2"})
        await until(lambda: known.get(PAIR) == Decimal("1.20"))
        assert all(one.source == "prices" and one.as_of <= utc_now() for one in said)


async def test_a_price_that_stands_still_is_said_again_and_no_more_without_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(quotes_module, "RESTATED_EVERY", quotes_module.RESTATED_EVERY / 100)
    async with quoting("plain") as (_, acceptor):
        async with following("plain", acceptor, tmp_path, PAIR, "XXX/YYY") as (source, known, said):
            await until(lambda: known.get(PAIR) == Decimal("1.10"))
            seen = len(said)
            await until(lambda: len(said) >= seen + 3)
            assert "no prices of XXX/YYY: Symbol(55) XXX/YYY is not listed here" in caplog.text
            acceptor.send_home("for the night")
            await until(lambda: "the session is down" in caplog.text)
            assert source._due() is None
        assert known == {PAIR: Decimal("1.10")}
    assert logging.WARNING in {one.levelno for one in caplog.records}


class Unable:
    """An engine that is up twice and can write no question of the second time."""

    def __init__(self, session: FixSession) -> None:
        self.asked: list[str] = []
        self.is_over = asyncio.Event()
        del session

    def start(self, after_seq: int) -> str:
        assert not after_seq
        return ""

    async def incoming(self) -> AsyncIterator[Sequence[Incoming]]:
        yield [Up(was_reset=False), Up(was_reset=False)]
        await self.is_over.wait()

    def send(self, kind: str, cl_ord_id: str, raw: str) -> bool:
        assert kind == "ask"
        assert PAIR.replace("/", "") in raw.replace("/", "")
        self.asked.append(cl_ord_id)
        raise OSError("no room for a question")

    def flush(self) -> None:
        """Nothing was handed over."""

    async def stop(self) -> None:
        self.is_over.set()


async def test_a_question_that_breaks_ends_the_source_loudly_and_only_the_last_logon_asks(
    tmp_path: Path,
) -> None:
    session = FixSession("prices", "FIX.4.4", "QUOTES", "SIM", "127.0.0.1", 1, 30, store_folder=tmp_path)
    made: list[Unable] = []

    def make(one: FixSession) -> Unable:
        made.append(Unable(one))
        return made[-1]

    venue = speak("plain", {})
    source = QuoteSession(session, [PAIR], utc_now, venue, interval_s=0.01, make_engine=make)  # type: ignore[arg-type]
    await source.start(0)
    with pytest.raises(OSError, match="no room for a question"):
        async for _ in source.events():
            pass
    await source.stop()
    assert made[-1].asked == ["1"], "the first was called off before it had begun"


def test_a_venue_without_quotes_is_refused() -> None:
    with pytest.raises(ValueError, match="Interactive Brokers quotes no prices over FIX"):
        QuoteSession(None, [], utc_now, speak("ibkr", {}))  # type: ignore[arg-type]
