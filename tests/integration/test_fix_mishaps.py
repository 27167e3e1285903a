"""Whatever the simulated venue can be made to do, done to a whole gateway over each dialect, on real sockets.

The venue fills by hand only. Each mishap strikes an order of its own in one basket; in the end both books
must agree to the cent, and a replay of the journal must give the book that is shown.
"""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from patience import wait_until

from gateway.cli import main
from gateway.cli.demo import compare_with_venue
from gateway.cli.root import OK
from simulator.control import ask
from simulator.household import stage_for, write_household
from simulator.stage import Stage, free_port

NAMES = 40
LOGIN = 'username = "DEMO"\n[links.sim.venue]\n'
KITS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("", {}),
    "saxo": (f'dialect = "saxo"\n{LOGIN}client_id = "C1"\n', {"dialect": "saxo"}),
    "ibkr": (
        'dialect = "ibkr"\nbegin_string = "FIX.4.2"\n[links.sim.venue]\nreset_at = "Mon 00:00"\n',
        {"dialect": "ibkr", "begin_string": "FIX.4.2"},
    ),
    "dukascopy": (
        f'dialect = "dukascopy"\n{LOGIN}send_account = true\nabsence_is_unknown = true\n',
        {"dialect": "dukascopy"},
    ),
}

EXECUTION = {"ibkr": "1"}
"""ExecType(150) of a partial execution, where it is not F."""


class Room:
    """A gateway with a basket of sales at a venue that waits for its hand."""

    def __init__(self, folder: Path, dialect: str, capsys: pytest.CaptureFixture[str], *options: str) -> None:
        port = free_port()
        link, changes = KITS[dialect]
        self.household = write_household(
            folder, NAMES, 3, port, link=link, is_fx=dialect == "dukascopy", lookup_wait_s=0.5
        )
        self.stage: Stage = stage_for(
            self.household, port, ["--fills-by-hand", *options],
            environment={"GATEWAY_LINKS__SIM__PASSWORD": "only a test"}, **changes,
        )  # fmt: skip
        self._capsys = capsys
        self.dialect = dialect

    def say(self, *words: str) -> Any:
        code = main(["--config", str(self.stage.config), *words, "--json"])
        output = self._capsys.readouterr()
        return json.loads(output.out) if code == OK else None

    def tell(self, command: str, **words: Any) -> dict[str, Any]:
        answer = ask(self.stage.control_port, command, **words)
        assert "error" not in answer, (command, words, answer)
        return answer

    def until(self, is_so: Callable[[], Any], what: str) -> Any:
        return wait_until(is_so, lambda: (what, self.stage.log("gateway")[-3000:]))

    def theirs(self, cl_ord_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            one for one in self.stage.record()["orders"] if one["cl_ord_id"] == cl_ord_id
        )
        return found

    def ours(self, cl_ord_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(
            one for one in self.say("orders", "--request", "R1") or [] if one["cl_ord_id"] == cl_ord_id
        )
        return found

    def settles(self, cl_ord_id: str) -> dict[str, Any]:
        """Wait until both sides say the same of an order; return what ours says."""

        def same() -> bool:
            return Decimal(self.ours(cl_ord_id)["cum_qty"]) == Decimal(self.theirs(cl_ord_id)["cum_qty"])

        self.until(same, f"{cl_ord_id} {self.ours(cl_ord_id)} {self.theirs(cl_ord_id)}")
        return self.ours(cl_ord_id)

    def fill(self, order: dict[str, Any], qty: int | None = None) -> dict[str, Any]:
        """Fill an order, wholly unless told otherwise; return ours once both sides say the same."""
        wanted = self.theirs(order["cl_ord_id"])["leaves_qty"] if qty is None else str(qty)
        self.tell("fill", cl_ord_id=order["cl_ord_id"], qty=wanted)
        return self.settles(order["cl_ord_id"])

    def last_fill(self, order: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.theirs(order["cl_ord_id"])["fills"][-1]
        return found

    def comes_to(self, order: dict[str, Any], **wanted: str) -> None:
        """Wait until our own view of an order has these values."""

        def is_there() -> bool:
            ours = self.ours(order["cl_ord_id"])
            return all(str(ours[key]) == value for key, value in wanted.items())

        self.until(is_there, f"{wanted}: {self.ours(order['cl_ord_id'])}")

    def is_up(self) -> bool:
        found = self.say("status")
        return bool(found and found["links"]["sim"]["is_up"])

    def begin(self) -> list[dict[str, Any]]:
        """Submit the basket; return the sales, all of them working."""
        path = self.household.folder / "t.csv"
        rows = [f"{symbol},{weight}" for symbol, weight in self.household.targets(random.Random(4)).items()]
        path.write_text("symbol,weight\n" + "\n".join(rows) + "\n")
        assert main(["--config", str(self.stage.config), "prices", str(self.stage.prices)]) == OK
        self._capsys.readouterr()
        assert self.say("submit", str(path), "--account", "main", "--request-id", "R1")

        def working() -> list[dict[str, Any]]:
            found = self.say("orders", "--request", "R1") or []
            return found if found and all(one["ord_status"] == "NEW" for one in found) else []

        return list(self.until(working, "a wave of orders at work"))

    def finish(self) -> None:
        """Fill whatever works, wave after wave, until the request is over."""

        def is_over() -> bool:
            for one in self.stage.record()["orders"]:
                if one["status"] in ("new", "partially_filled"):
                    self.tell("fill", cl_ord_id=one["cl_ord_id"], qty=one["leaves_qty"])
            body = self.say("request", "R1")
            return bool(body and body["request"]["is_final"])

        self.until(is_over, "the end of the request")

    def agrees(self) -> None:
        self.until(
            lambda: compare_with_venue(self.say("book"), self.stage.record()) == [],
            f"equal books: {compare_with_venue(self.say('book'), self.stage.record())}",
        )
        assert main(["--config", str(self.stage.config), "replay"]) == OK
        self._capsys.readouterr()


@contextlib.contextmanager
def opened(room: Room) -> Iterator[Room]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in room.stage.child_environment().items():
            patch.setenv(name, value)
        try:
            room.stage.start_redis()
            room.stage.start_venue()
            room.stage.start_gateway()
            yield room
        finally:
            room.stage.close()


@pytest.fixture(params=KITS)
def room(
    request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Room]:
    with opened(Room(tmp_path, request.param, capsys)) as room:
        yield room


def test_what_a_venue_may_do_to_an_order_ends_in_equal_books(room: Room) -> None:
    orders = sorted(room.begin(), key=lambda one: Decimal(one["order_qty"]))
    late, worked, busted, corrected, cancelled, halted, restated, away, *_ = orders[::-1]

    room.fill(busted)
    room.tell("bust", exec_id=room.last_fill(busted)["exec_id"])
    room.comes_to(busted, cum_qty="0")
    room.fill(busted)

    room.fill(corrected)
    fill = room.last_fill(corrected)
    px = str(Decimal(fill["last_px"]) + Decimal("0.02"))
    room.tell("correct", exec_id=fill["exec_id"], qty=fill["last_qty"], price=px)
    room.comes_to(corrected, avg_px=px)

    room.tell("cancel", cl_ord_id=cancelled["cl_ord_id"])
    room.comes_to(cancelled, ord_status="CANCELED")

    room.fill(late, 1)
    room.tell("cancel", cl_ord_id=late["cl_ord_id"])
    room.comes_to(late, ord_status="CANCELED", cum_qty="1")
    room.tell("fill_late", cl_ord_id=late["cl_ord_id"], qty="1", price=late["price"])
    room.comes_to(late, ord_status="CANCELED", cum_qty="2")

    room.tell("halt", symbol=halted["symbol"])
    room.comes_to(halted, ord_status="SUSPENDED")
    room.tell("resume", symbol=halted["symbol"])
    room.comes_to(halted, ord_status="NEW")
    room.fill(halted)

    fewer = int(Decimal(restated["order_qty"])) - 1
    room.tell("restate", cl_ord_id=restated["cl_ord_id"], qty=str(fewer))
    room.comes_to(restated, order_qty=str(fewer))
    room.fill(restated)

    for kind in ("reorder", "duplicate", "repeat", "drop", "delay"):
        words = {"seconds": 0.4} if kind == "delay" else {}
        room.tell("fault", kind=kind, exec_type=EXECUTION.get(room.dialect, "F"), **words)
        room.tell("fill", cl_ord_id=worked["cl_ord_id"], qty="1")
        room.tell("fill", cl_ord_id=worked["cl_ord_id"], qty="1")
        room.settles(worked["cl_ord_id"])

    room.tell("maintenance", seconds=1)
    room.until(lambda: not room.is_up(), "a link that is down")
    room.tell("fill", cl_ord_id=away["cl_ord_id"], qty=away["order_qty"])
    room.until(room.is_up, "a link that is up again")
    room.settles(away["cl_ord_id"])

    room.finish()
    room.agrees()
    assert room.say("status")["halts"] == {}


@pytest.mark.parametrize("dialect", ["saxo", "ibkr"])
def test_cancels_that_hang_are_too_late_or_refused_and_at_last_succeed(
    dialect: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(Room(tmp_path, dialect, capsys, "--pending-ms", "3600000")) as room:
        filled, refused, *others = room.begin()
        main(["--config", str(room.stage.config), "cancel", "R1"])  # it waits for an end that hangs
        capsys.readouterr()
        for one in (filled, refused, *others):
            room.comes_to(one, ord_status="PENDING_CANCEL")
        room.fill(filled)
        room.comes_to(filled, ord_status="PENDING_CANCEL")
        room.tell("decide", cl_ord_id=f"{filled['cl_ord_id']}C1")
        room.comes_to(filled, ord_status="FILLED")
        room.tell("decide", cl_ord_id=f"{refused['cl_ord_id']}C1", refusal="not now")
        room.comes_to(refused, ord_status="NEW")
        room.tell("cancel", cl_ord_id=refused["cl_ord_id"])
        for one in others:
            room.tell("decide", cl_ord_id=f"{one['cl_ord_id']}C1")
        for one in (refused, *others):
            room.comes_to(one, ord_status="CANCELED", cum_qty="0")
        room.until(lambda: room.say("request", "R1")["request"]["is_final"], "the end of the request")
        room.agrees()
        assert room.say("status")["halts"] == {}


@pytest.mark.parametrize(("dialect", "halts"), [("saxo", True), ("ibkr", False)])
def test_a_fill_behind_which_numbers_begin_again_is_found_or_halts_by_name(
    dialect: str, halts: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(Room(tmp_path, dialect, capsys)) as room:
        away, *others = room.begin()
        room.stage.kill("gateway")
        time.sleep(2)  # until the session's own process has logged out
        room.tell("fill", cl_ord_id=away["cl_ord_id"], qty=away["order_qty"])
        room.tell("new_week")
        for one in (tmp_path / "state" / "fix" / "sim").glob("last-reset"):
            one.write_text("2024-05-01T00:00:00+00:00")
        room.stage.start_gateway()
        if halts:
            said = room.until(lambda: (room.say("status") or {}).get("halts"), "a halt")
            assert away["cl_ord_id"] in str(said), said
        else:
            room.settles(away["cl_ord_id"])
            room.finish()
            room.agrees()
            assert room.say("status")["halts"] == {}
        assert len(others) > 2
