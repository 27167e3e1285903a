"""A drop copy beside a real gateway: two quickfix sessions, one venue that can be made to lie to either."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from patience import wait_until

from gateway.cli import main
from gateway.cli.root import OK
from gateway.runtime.embedded import socket_path
from gateway.runtime.keys import Keys
from simulator.control import ask
from simulator.household import Household, stage_for, write_household
from simulator.stage import Stage, free_port

SECTION = """
[drop_copies.copy]
of = "sim"
grace_s = 1
sender_comp_id = "COPY"
target_comp_id = "SIM"
port = {port}
heartbeat_s = 5
"""


INVENTED = {"command": "invent_copy", "symbol": "A", "side": "buy", "qty": "1", "price": "1"}


class Room:
    """Redis, the venue and a gateway with a drop copy, and what a person sees of it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        port = free_port()
        self.household: Household = write_household(folder, 12, 3, port, link=SECTION.format(port=port))
        self.stage: Stage = stage_for(
            self.household, port, ["--fill-delay-ms", "5", "--partials", "3"],
            sessions={"DROP_COPIES__COPY": "COPY"},
        )  # fmt: skip
        self._capsys = capsys
        self._rng = random.Random(5)
        self._requests = 0

    def say(self, *words: str) -> str:
        code = main(["--config", str(self.stage.config), *words])
        output = self._capsys.readouterr()
        assert code == 0, output.err
        return output.out

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.say("status", "--json"))
        return found

    def basket(self) -> None:
        """Submit targets in which nearly every name trades, and wait until all has filled."""
        self._requests += 1
        path = self.household.folder / "targets.csv"
        rows = [f"{symbol},{weight}" for symbol, weight in self.household.targets(self._rng).items()]
        path.write_text("symbol,weight\n" + "\n".join(rows) + "\n")
        self.say("submit", str(path), "--account", "main", "--request-id", f"R{self._requests}", "--wait")

    def alerts(self) -> list[str]:
        """Return what drop copies made the gateway say."""
        path = socket_path(self.household.folder / "state")
        with contextlib.closing(redis.Redis(unix_socket_path=str(path))) as client:
            lines = [json.loads(fields[b"d"]) for _, fields in client.xrange(Keys("stage").news)]
        said = [one["event"] for one in lines if one["kind"] == "Alert"]
        return [one["text"] for one in said if one["code"] == "DropCopyDiffers"]

    def is_compared(self) -> bool:
        code = main(["--config", str(self.stage.config), "status", "--json"])
        output = self._capsys.readouterr().out
        if code != OK:  # the gateway has shown nothing yet
            return False
        copy = json.loads(output)["drop_copies"]["copy"]
        return bool(copy["is_up"]) and copy["waiting"] == 0

    def until(self, is_so: Callable[[], bool]) -> None:
        wait_until(is_so, lambda: self.stage.log("gateway")[-2000:])


@pytest.fixture
def room(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Room]:
    room = Room(tmp_path, capsys)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in room.stage.child_environment().items():
            patch.setenv(name, value)
        try:
            room.stage.start_redis()
            room.stage.start_venue()
            room.stage.start_gateway()
            room.until(room.is_compared)
            room.say("prices", str(room.household.folder / "prices.csv"))
            yield room
        finally:
            room.stage.close()


def test_what_both_sides_show_alike_is_no_news_and_every_difference_is_said_once(room: Room) -> None:
    room.basket()
    room.until(room.is_compared)
    room.stage.kill("gateway")
    room.stage.start_gateway()
    room.until(room.is_compared)
    room.basket()
    room.until(room.is_compared)
    time.sleep(1.2)
    assert room.alerts() == []
    assert "drop copy copy   up (of sim, 0 executions to compare)" in room.say("status")

    ask(room.stage.control_port, "hide_copies", count=1)
    room.basket()
    room.until(lambda: len(room.alerts()) == 1)
    ask(room.stage.control_port, "invent_copy", symbol="S00001", side="buy", qty="5", price="10")
    room.until(lambda: len(room.alerts()) == 2)
    hidden, invented = room.alerts()
    assert "is booked; the drop copy never showed it" in hidden
    assert invented == (
        "copy: execution of BUY 5 S00001 at 10 (ExecID INVENTED1, order INVENTED1) is in the drop copy; "
        "we were never told"
    )
    room.stage.kill("gateway")
    room.stage.start_gateway()
    room.until(room.is_compared)
    time.sleep(1.2)
    assert len(room.alerts()) == 2, "told once, not again after a restart"
    assert room.status()["halts"] == {}
    assert main(["--config", str(room.stage.config), "replay"]) == 0


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        ({"command": "hide_copies", "count": "one"}, "count is 'one'; give a whole number"),
        ({**INVENTED, "side": "hold"}, "give buy or sell"),
        ({**INVENTED, "qty": "0"}, "qty and price lie above 0"),
        ({**INVENTED, "x": 1}, "takes no x"),
    ],
)
def test_a_lie_that_cannot_be_told_says_why(tmp_path: Path, words: dict[str, Any], wrong: str) -> None:
    port = free_port()
    household = write_household(tmp_path, 2, 3, port)
    stage = stage_for(household, port, [], sessions={"DROP_COPIES__COPY": "COPY"})
    stage.start_venue()
    try:
        answer = ask(stage.control_port, **words)
        assert wrong in answer["error"]
    finally:
        stage.close()
