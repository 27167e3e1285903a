"""The venue over sockets: keys, rates, bodies that make no sense, the stream's handshake, the command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from alpaca_world import KEYS, Market, lay_out, market
from patience import PATIENCE_S

from simulator.__main__ import main
from simulator.control import ask
from simulator.venue import VenueError

HEADERS = {"APCA-API-KEY-ID": KEYS[0], "APCA-API-SECRET-KEY": KEYS[1]}


@pytest.fixture
async def venue(tmp_path: Path) -> AsyncIterator[Market]:
    async with market(tmp_path, "--may-short", positions={"BBB": "10"}) as one:
        yield one


@pytest.fixture
async def http(venue: Market) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(venue.url, headers=HEADERS) as session:
        yield session


async def asked(http: aiohttp.ClientSession, method: str, path: str, **more: Any) -> tuple[int, Any]:
    async with http.request(method, f"/v2{path}", **more) as answer:
        return answer.status, await answer.json()


async def test_keys_come_before_everything(venue: Market) -> None:
    async with aiohttp.ClientSession(venue.url) as nobody:
        assert await asked(nobody, "GET", "/nowhere") == (401, {"message": "unauthorized"})
        bearer = {"Authorization": "Bearer WRONG"}
        assert (await asked(nobody, "GET", "/account", headers=bearer))[0] == 401


async def test_what_is_not_there_or_makes_no_sense_is_an_error_in_json(http: aiohttp.ClientSession) -> None:
    for method, path, body, status in (
        ("GET", "/nowhere", None, 404), ("POST", "/orders", "no json", 422), ("POST", "/orders", "[]", 422),
        ("DELETE", "/positions/AAA", None, 404), ("DELETE", "/positions/BBB?qty=x", None, 422),
        ("GET", "/orders/7", None, 404), ("GET", "/stocks/NONE/quotes/latest", None, 404),
        ("GET", "/stocks/quotes/latest?symbols=bad%20one", None, 400),
    ):  # fmt: skip
        found = await asked(http, method, path, data=body)
        assert (found[0], "message" in found[1]) == (status, True), path
    found = await asked(http, "GET", "/stocks/AAA/quotes/latest")
    assert found[1]["quote"]["bp"] < 100 < found[1]["quote"]["ap"]
    assert await asked(http, "GET", "/stocks/quotes/latest") == (200, {"quotes": {}})


async def test_the_rate_is_stated_and_held(tmp_path: Path) -> None:
    async with (
        market(tmp_path, "--requests-per-min", "3") as venue,
        aiohttp.ClientSession(venue.url, headers=HEADERS) as http,
    ):
        for left in ("2", "1", "0"):
            async with http.get("/v2/clock") as answer:
                assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (200, left)
        async with http.get("/v2/clock") as answer:
            assert (answer.status, answer.headers["X-RateLimit-Remaining"]) == (429, "0")
            assert (await answer.json())["code"] == 42910000
            assert int(answer.headers["X-RateLimit-Reset"]) > 0
        served = venue.world.web._served
        served.extendleft([served[0] - 61] * 3)
        for _ in range(3):
            served.pop()
        async with http.get("/v2/clock") as answer:
            assert answer.status == 200


async def test_everything_is_closed_shorts_bought_back_and_what_cannot_be_is_said(
    venue: Market, http: aiohttp.ClientSession
) -> None:
    body = {"symbol": "CCC", "qty": "3", "side": "sell", "type": "market", "time_in_force": "day"}
    assert (await asked(http, "POST", "/orders", json=body))[1]["side"] == "sell"
    resting = {**body, "symbol": "BBB", "qty": "2", "type": "limit", "limit_price": "60"}
    await asked(http, "POST", "/orders", json=resting)
    venue.fault("stuck_cancel")
    status, rows = await asked(http, "DELETE", "/orders")
    assert (status, [row["status"] for row in rows]) == (207, [200])
    status, rows = await asked(http, "DELETE", "/orders")
    assert [row["status"] for row in rows] == [422]
    venue.operate("deactivate", symbol="BBB")
    status, rows = await asked(http, "DELETE", "/positions?cancel_orders=true")
    assert {row["symbol"]: row["status"] for row in rows} == {"BBB": 422, "CCC": 200}
    assert next(row for row in rows if row["symbol"] == "CCC")["body"]["side"] == "buy"
    assert [one["symbol"] for one in (await asked(http, "GET", "/positions"))[1]] == ["BBB"]


@pytest.mark.parametrize("fault", ["post_timeout_before", "post_timeout_after", "post_reset_before"])
async def test_a_post_may_hang_or_break(
    venue: Market, http: aiohttp.ClientSession, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.alpaca.web.HANG_S", 0.05)
    venue.fault(fault)
    body = {"symbol": "AAA", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    with pytest.raises(aiohttp.ClientError):
        await asked(http, "POST", "/orders", json=body)
    assert len(venue.orders()) == (fault == "post_timeout_after")


async def test_the_stream_wants_keys_first_and_takes_the_last_list(
    venue: Market, http: aiohttp.ClientSession
) -> None:
    listen = {"action": "listen", "data": {"streams": ["trade_updates", "account_updates"]}}

    async def said(ws: aiohttp.ClientWebSocketResponse, what: Any) -> Any:
        await ws.send_str(what if isinstance(what, str) else json.dumps(what))
        message = await ws.receive(5)
        assert message.type is aiohttp.WSMsgType.BINARY
        return json.loads(message.data)

    async with http.ws_connect("/stream") as ws:
        await ws.send_str("no json")
        await ws.send_str("[]")
        assert (await said(ws, listen))["data"] == {"status": "unauthorized", "action": "listen"}
        wrong = {"action": "authenticate", "data": {"key_id": "K", "secret_key": "S"}}
        assert (await said(ws, wrong))["data"]["status"] == "unauthorized"
        short = {"action": "auth", "key": KEYS[0], "secret": KEYS[1]}
        assert (await said(ws, short))["data"]["status"] == "authorized"
        assert (await said(ws, listen))["data"]["streams"] == ["trade_updates"]
        venue.world.streams.hurry()
        assert len(venue.world.streams._listening) == 1
        assert (await said(ws, {"action": "listen", "data": {}}))["data"]["streams"] == []
        assert not venue.world.streams._listening


async def test_the_control_port_says_what_it_can_do(venue: Market) -> None:
    commands = venue.world.commands()
    assert "post_504_after" in commands["faults"]({})["faults"]
    assert commands["close_market"]({}) == {"reports": 0}
    assert venue.world.status()["orders"] == 0
    assert commands["struck"]({}) == {"struck": {}}
    venue.fault("too_many", count=2)
    venue.world.calm()
    assert venue.world.status()["planned"] == {}
    for bad in ({"kind": "dance"}, {"kind": "mute", "seconds": 0}, {"kind": "too_many", "count": "x"}):
        with pytest.raises(VenueError):
            commands["fault"](bad)
    with pytest.raises(VenueError, match="does not restart"):
        venue.world.end(1.0)


def test_options_that_cannot_be_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = lay_out(tmp_path, "1", {})
    for more, words in (
        (["--dance"], "unrecognized arguments"),
        (["--account", "nobody"], "--account nobody does not stand in --accounts"),
        (["--chaos", "x"], "--chaos 'x'"),
    ):
        assert main(["alpaca", *files, *more]) == 2
        assert words in capsys.readouterr().err
    assert main(["alpaca", "--prices", "nowhere.csv", *files[2:]]) == 2
    assert "nowhere.csv: No such file or directory" in capsys.readouterr().err


def test_the_command_serves_until_it_is_told_to_end_and_comes_back(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "simulator", "alpaca", *lay_out(tmp_path, "1000", {})]
    words += ["--store", str(tmp_path / "store"), "--cancel-ms", "10"]
    for how in ("signal", "control"):
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            where = json.loads(process.stdout.readline())["listening"]
            taken = [*words[1:], "--port", str(where["port"])]
            clash = subprocess.run(
                [sys.executable, *taken[:-4], "--store", str(tmp_path / how), *taken[-2:]],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert clash.returncode == 2
            assert "choose another, or 0" in clash.stderr
            assert ask(where["control_port"], "record")["orders"] == []
            if how == "signal":
                os.kill(process.pid, signal.SIGTERM)
            else:
                ask(where["control_port"], "stop")
            assert process.wait(PATIENCE_S) == 0


async def test_what_ends_the_passing_of_time_ends_the_venue(tmp_path: Path) -> None:
    async with market(tmp_path) as venue:
        await asyncio.sleep(0.05)
        assert not venue.world.ticking.done()
    assert venue.world.ticking.cancelled()
