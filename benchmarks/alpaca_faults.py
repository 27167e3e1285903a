"""Four hundred orders through a bad line to Alpaca: the gateway, and the client as it is ordinarily used.

The bundled venue takes orders and answers 5 % of them with 504 and 5 % with a broken connection all the
same, refuses 3 % with 504 and 3 % with 429, and breaks every stream at 2 % of the orders. One arm is the
whole gateway: weights on the Redis stream, one wave of buys. The other is alpaca-py as its documents show
it: no client_order_id, what raises is taken as rejected, what the stream says of unknown orders is passed
over; only its pause between retries is cut to 0.05 s, so that the run is short.

Run: ``python benchmarks/alpaca_faults.py [--seeds 5] [--orders 400]``. The last line is one JSON object;
exit 1 when the gateway's arm is not exact.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.cli.demo import compare_with_venue
from gateway.client import GatewayClient
from gateway.events import RequestState
from simulator.household import Household, stage_for, write_household
from simulator.stage import ALPACA, ALPACA_KEYS, Stage, free_port

CHAOS = "post_504_after=0.05,post_reset_after=0.05,post_504_before=0.03,too_many=0.03,stream_drop=0.02"
TIMEOUT_S = 180.0
SETTLE_S = 3.0
PAUSE_S = 0.05
Row = dict[str, Any]


def laid_out(orders: int, seed: int, name: str, cash_times: int = 1) -> tuple[Stage, Household]:
    """Lay out a household that holds nothing and will buy `orders` names, and a venue on a bad line."""
    folder, port = Path(tempfile.mkdtemp(prefix=f"gateway-faults-{name}-")), free_port()
    household = write_household(
        folder, orders, seed, port, held_share=0.0, lookup_wait_s=0.5, wave_timeout_s=120, is_alpaca=True
    )
    options = ["--chaos", CHAOS, "--seed", str(seed), "--requests-per-min", "1000000", "--partials", "2"]
    stage = stage_for(household, port, [*options, "--fill-delay-ms", "20"], dialect=ALPACA)
    if cash_times > 1:
        opening = {"main": {"cash": str(household.cash * cash_times), "positions": {}}}
        stage.accounts.write_text(json.dumps(opening), encoding="utf-8")
    return stage, household


def gateway_arm(orders: int, seed: int) -> Row:
    """Run the gateway; return what the venue has, what was intended, and whether the books agree."""
    stage, household = laid_out(orders, seed, "gateway")
    try:
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        return asyncio.run(_submitted(stage, household))
    finally:
        stage.close()
        shutil.rmtree(stage.folder, ignore_errors=True)


async def _submitted(stage: Stage, household: Household) -> Row:
    weights = {symbol: f"{0.9 / len(household.symbols):.8f}" for symbol in household.symbols}
    prices = {symbol: f"{cents / 100:.2f}" for symbol, cents in household.cents.items()}
    async with GatewayClient(stage.folder / "state", "stage") as client:
        await client.publish_prices(prices, source="benchmark")
        began = time.perf_counter()
        await client.submit(weights, account="main", request_id="faults", lifetime_s=3600)
        state, body = "", None
        while not state or not RequestState(state).is_final:
            if time.perf_counter() - began > TIMEOUT_S:
                raise TimeoutError(f"the basket did not end; {stage.log('gateway')[-2000:]}")
            await asyncio.sleep(0.1)
            body = await client.request("faults")
            state = "" if body is None else str(body["state"])
        took_s = time.perf_counter() - began
        await asyncio.sleep(SETTLE_S)
        book = await client.book()
        intended = await client.orders("faults")
    record = stage.record()
    differences = compare_with_venue(book or {"accounts": {}}, record)
    wanted = {one["cl_ord_id"]: Decimal(one["order_qty"]) for one in intended}
    at_venue = {one["cl_ord_id"]: Decimal(one["cum_qty"]) for one in record["orders"]}
    return {
        "intended": len(wanted), "at_broker": len(record["orders"]), "is_intent": wanted == at_venue,
        "book_differences": len(differences), "held_share": 1.0, "seconds": round(took_s, 1),
    }  # fmt: skip


def naive_arm(orders: int, seed: int) -> Row:
    """Run the client as its documents show it; return the same."""
    stage, household = laid_out(orders, seed, "naive", cash_times=3)
    try:
        stage.start_venue()
        return asyncio.run(_naively(stage, household))
    finally:
        stage.close()
        shutil.rmtree(stage.folder, ignore_errors=True)


async def _naively(stage: Stage, household: Household) -> Row:
    warnings.simplefilter("ignore", DeprecationWarning)
    from alpaca.trading.client import TradingClient  # noqa: PLC0415 - heavy, and wanted by this arm alone
    from alpaca.trading.enums import OrderSide, TimeInForce  # noqa: PLC0415
    from alpaca.trading.requests import MarketOrderRequest  # noqa: PLC0415
    from alpaca.trading.stream import TradingStream  # noqa: PLC0415

    logging.getLogger("alpaca.trading.stream").setLevel(logging.CRITICAL)
    client = TradingClient(*ALPACA_KEYS, url_override=f"http://127.0.0.1:{stage.port}")
    client._retry_wait = PAUSE_S  # type: ignore[assignment]  # noqa: SLF001 - see the module's first lines
    stream = TradingStream(*ALPACA_KEYS, url_override=f"ws://127.0.0.1:{stage.port}/stream")
    mine: set[str] = set()
    book: dict[str, Decimal] = {}

    async def note(update: Any) -> None:
        if str(update.order.id) in mine and update.event in ("fill", "partial_fill"):
            symbol = update.order.symbol
            book[symbol] = book.get(symbol, Decimal(0)) + Decimal(str(update.qty))

    stream.subscribe_trade_updates(note)
    following = asyncio.create_task(stream._run_forever())  # noqa: SLF001 - the only way inside a loop
    await asyncio.sleep(0.5)
    began = time.perf_counter()
    for symbol in household.symbols:
        wanted = MarketOrderRequest(
            symbol=symbol, qty=2_000_000 // household.cents[symbol], side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
        )  # fmt: skip
        with contextlib.suppress(Exception):
            order = await asyncio.to_thread(client.submit_order, wanted)
            mine.add(str(order.id))
    took_s = time.perf_counter() - began
    await asyncio.sleep(SETTLE_S)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await stream.close()
    record = stage.record()
    held = {name: Decimal(qty) for name, qty in record["accounts"]["main"]["positions"].items()}
    wrong = sum(book.get(symbol, Decimal(0)) != qty for symbol, qty in held.items())
    share = sum(book.values(), Decimal(0)) / sum(held.values(), Decimal(0))
    return {
        "intended": len(household.symbols), "at_broker": len(record["orders"]), "is_intent": False,
        "book_differences": wrong, "held_share": round(float(share), 3), "seconds": round(took_s, 1),
    }  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both arms for each seed and print them side by side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=400)
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    print("seed  arm      intended  at the broker  names the book has wrong  book/broker  seconds")
    for seed in range(1, options.seeds + 1):
        for name, arm in (("gateway", gateway_arm), ("naive", naive_arm)):
            row = {"seed": seed, "arm": name, **arm(options.orders, seed)}
            rows.append(row)
            print(
                f"{seed:4d}  {name:8s} {row['intended']:7d}  {row['at_broker']:13d}  "
                f"{row['book_differences']:24d}  {row['held_share']:11.1%}  {row['seconds']:7.1f}",
                flush=True,
            )
    is_exact = all(
        row["is_intent"] and not row["book_differences"] and row["at_broker"] == options.orders
        for row in rows
        if row["arm"] == "gateway"
    )
    print(json.dumps({"is_exact": is_exact, "rows": rows}))
    return 0 if is_exact else 1


if __name__ == "__main__":
    sys.exit(main())
