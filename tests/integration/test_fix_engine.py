"""The FIX engine against the simulator's acceptor: whoever dies, no report is lost, no order repeated."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from fix_desk_venue import PARTIES, SESSION, Listener, Tap, open_venue, order, session_to
from patience import PATIENCE_S, until

from adapters.fix import engine as engine_module
from adapters.fix.engine import ChildEngine, Down, Up, Withheld
from adapters.fix.spool import Spooled, segments
from simulator.fix.acceptor import NoInterference, Verdict
from simulator.fix.application import Outgoing, Reply
from simulator.fix.message import Message, message

BURST = 400


def child() -> psutil.Process:
    found = [
        one for one in psutil.Process().children(recursive=True) if "adapters.fix.child" in one.cmdline()
    ]
    assert len(found) == 1, found
    return found[0]


class Listens(NoInterference):
    """Keep the MsgType(35) of everything the venue says."""

    def __init__(self) -> None:
        self.types: list[str] = []

    def after(self, *said: Any) -> Sequence[tuple[float, bytes]]:
        raw: bytes = said[1]
        self.types.append(raw.split(b"\x0135=", 1)[1][:1].decode())
        return ((0.0, raw),)


async def test_orders_go_out_reports_come_back_and_stop_logs_out(
    tmp_path: Path,
) -> None:
    said = Listens()
    async with open_venue(said) as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        assert engine.start(0) == ""
        assert not engine.send("order", "A", order("A")), "nothing leaves before the session is up"
        listener = Listener(engine)
        await listener.wait_for(Up)
        assert engine.send("order", "A", order("A"))
        engine.flush()
        first, *_ = await listener.wait_for(Spooled)
        assert (first.seq, "\x0111=A\x01" in first.raw) == (1, True)
        venue.fill("A")
        await listener.wait_for(Spooled, 2)
        await engine.stop()
        await listener.task
        assert venue.orders == {"A": 1}
        assert [one.reason for one in listener.seen if isinstance(one, Down)] == [
            "the FIX process ended with code 0"
        ]
        assert said.types == ["A", "0", "8", "8", "5"], "the venue answered our Logout(5)"


async def test_a_killed_child_comes_back_and_no_report_is_missing(tmp_path: Path) -> None:
    async with open_venue() as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        for round_number in range(3):
            names = [f"R{round_number}N{number}" for number in range(BURST)]
            venue.fill(*names)
            await asyncio.sleep(0.03)
            child().kill()
            venue.fill(*[f"{name}X" for name in names])
            await listener.wait_for(Up, round_number + 2)
        await engine.stop()
        await listener.task
        expected = [f"E{number + 1}" for number in range(3 * 2 * BURST)]
        assert sorted(set(listener.exec_ids())) == sorted(expected)
        assert len([one for one in listener.seen if isinstance(one, Down)]) >= 3


async def test_what_one_gateway_did_not_journal_the_next_one_gets(tmp_path: Path) -> None:
    async with open_venue() as venue:
        first = ChildEngine(session_to(venue, tmp_path))
        first.start(0)
        listener = Listener(first)
        await listener.wait_for(Up)
        venue.fill(*[f"N{number}" for number in range(BURST)])
        await listener.wait_for(Spooled, 10)
        journaled = [one for one in listener.seen if isinstance(one, Spooled)][:10]
        listener.task.cancel()  # the first gateway dies here
        await first.stop()
        second = ChildEngine(session_to(venue, tmp_path))
        assert second.start(journaled[-1].seq) == ""
        again = Listener(second)
        await again.wait_for(Up)
        await second.stop()
        await again.task
        rest = [one for one in again.seen if isinstance(one, Spooled)]
        assert [one.seq for one in rest] == list(range(11, 11 + len(rest)))
        assert set(again.exec_ids()) == {f"E{number + 1}" for number in range(10, BURST)}


class LosesOneOrder(NoInterference):
    """Lose the first order on the way; the next message uncovers the gap."""

    def __init__(self) -> None:
        self.lost = 0

    def before(self, *received: Any) -> Verdict:
        message: Message = received[1]
        if message.msg_type == "D" and not self.lost:
            self.lost += 1
            return "drop"
        return "process"


async def test_the_session_never_repeats_an_order_by_itself(tmp_path: Path) -> None:
    async with open_venue(LosesOneOrder()) as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        for name in "AB":
            engine.send("order", name, order(name))
            engine.flush()
        await asyncio.sleep(1.0)
        engine.send("order", "C", order("C"))
        engine.flush()
        await listener.wait_for(Spooled)
        await engine.stop()
        await listener.task
        assert venue.orders["A"] == 0, "lost on the way, and not sent again behind the engine's back"
        assert venue.orders["C"] == 1
        assert max(venue.orders.values()) == 1


async def test_a_session_reject_names_the_order_it_refused(tmp_path: Path) -> None:
    async with open_venue() as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        engine.send("order", "BAD", order("BAD", t54="Q"))
        engine.flush()
        (found,) = await listener.wait_for(Spooled)
        assert found.ref == "BAD"
        assert "\x0135=3\x01" in found.raw
        await engine.stop()
        await listener.task


async def test_credentials_are_sent_and_are_nowhere_on_disk(tmp_path: Path) -> None:
    secret = "only in memory"
    async with open_venue(password=secret) as venue:
        session = session_to(venue, tmp_path, username="user", password=secret)
        assert secret not in repr(session)
        engine = ChildEngine(session)
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        await engine.stop()
        await listener.task
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert "session.cfg" in files
    assert not [name for name, text in files.items() if secret.encode() in text]


async def test_a_spool_that_cannot_be_written_ends_the_child_before_the_report_counts(tmp_path: Path) -> None:
    async with open_venue() as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        venue.fill(*[f"N{number}" for number in range(20)])
        await listener.wait_for(Spooled, 20)
        size = segments(tmp_path / "spool")[0].stat().st_size
        child().rlimit(psutil.RLIMIT_FSIZE, (size + 5, size + 5))
        venue.fill("LATE")
        await listener.wait_for(Up, 2)
        await engine.stop()
        await listener.task
        (down, *_) = [one for one in listener.seen if isinstance(one, Down)]
        assert down.reason.endswith("code 3")
        assert listener.exec_ids() == [f"E{number + 1}" for number in range(21)]


async def test_nobody_at_the_address_is_said_and_stop_does_not_wait(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "END_TIMEOUT_S", 2 * PATIENCE_S)
    async with open_venue() as venue:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            engine = ChildEngine(session_to(venue, tmp_path, port=probe.getsockname()[1]))
            engine.start(0)
            listener = Listener(engine)
            await until(lambda: any("not logged on" in text for text in caplog.messages))
            assert not engine.send("order", "A", order("A"))
            await asyncio.wait_for(engine.stop(), PATIENCE_S)  # the process ends itself, and is not killed
            await listener.task
            assert not [one for one in listener.seen if isinstance(one, (Up, Withheld))]


async def test_messages_that_are_gone_from_the_spool_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / f"{100:020d}.spool").touch()
    async with open_venue() as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        assert "messages 41 to 99" in engine.start(40)
        await engine.stop()


async def test_a_venue_that_missed_messages_does_not_keep_the_session_down(tmp_path: Path) -> None:
    async with open_venue() as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        await engine.stop()
        await listener.task
        numbers = tmp_path / "quickfix" / "FIX.4.4-GATEWAY-SIM.seqnums"
        ours, theirs = (int(part) for part in numbers.read_text().split(":"))
        numbers.write_text(f"{ours + 7:020d} : {theirs:020d}")  # the venue never saw seven messages of ours
        again = ChildEngine(session_to(venue, tmp_path))
        again.start(0)
        listener = Listener(again)
        await listener.wait_for(Up)
        assert again.send("order", "A", order("A"))
        again.flush()
        await listener.wait_for(Spooled)
        await again.stop()
        await listener.task
        assert venue.orders == {"A": 1}


async def test_numbers_go_on_in_a_process_of_a_later_day(tmp_path: Path) -> None:
    """Whether the session began yesterday, or the day before, or at no time anybody knows."""
    async with open_venue() as venue, Tap(venue) as tap:
        for number, began in enumerate((None, "20240506-23:59:59", "20240507-10:00:00", "")):
            made_on = tmp_path / "quickfix" / "FIX.4.4-GATEWAY-SIM.session"
            if began is not None:
                assert made_on.exists()
                made_on.write_text(began)
            engine = ChildEngine(session_to(venue, tmp_path, **tap.address))
            engine.start(number)
            listener = Listener(engine)
            await listener.wait_for(Up)
            assert engine.send("order", f"N{number}", order(f"N{number}"))
            engine.flush()
            await listener.wait_for(Spooled)
            await engine.stop()
            await listener.task
        sent = [int(text.split("|34=")[1].split("|")[0]) for at in range(4) for text in tap.messages("A", at)]
        assert len(tap.said) == len(sent) == 4, "each was logged on at once"
        assert sent == sorted(set(sent))
        assert venue.orders == {f"N{number}": 1 for number in range(4)}


async def test_repeating_groups_reach_the_wire_whole_and_in_their_order(tmp_path: Path) -> None:
    parties = "453=3|448=C1|447=D|452=3|448=A1|447=D|452=38|448=T1|447=D|452=11|"
    raw = order("A").replace("\x0155=", "\x01" + parties.replace("|", "\x01") + "55=")
    async with open_venue() as venue, Tap(venue) as tap:
        engine = ChildEngine(session_to(venue, tmp_path, groups=(PARTIES,), **tap.address))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        engine.send("order", "A", raw)
        engine.send("order", "B", order("B"))
        engine.flush()
        await listener.wait_for(Spooled, 2)
        await engine.stop()
        await listener.task
        with_group, without = tap.messages("D")
        assert f"|{parties}" in with_group
        assert with_group.count("|453=") == 1
        assert all(f"|{tag}=" in with_group for tag in (11, 21, 38, 40, 54, 55, 60))
        assert "|453=" not in without
        assert venue.orders == {"A": 1, "B": 1}


async def logons(tmp_path: Path, rounds: int, **terms: Any) -> list[bool]:
    """Log on `rounds` times, each second time with a new process; say which logons reset the numbers."""
    ups: list[bool] = []
    async with open_venue() as venue, Tap(venue) as tap:
        for number in range(rounds):
            engine = ChildEngine(session_to(venue, tmp_path, **terms, **tap.address))
            engine.start(0)
            listener = Listener(engine)
            await listener.wait_for(Up)
            if number % 2:
                tap.cut()
                await listener.wait_for(Up, 2)
            await engine.stop()
            await listener.task
            ups += [one.was_reset for one in listener.seen if isinstance(one, Up)]
        found = [text for at in range(len(tap.said)) for text in tap.messages("A", at)]
        assert all("|34=1|" in text for text in found if "|141=Y|" in text)
        assert ups == ["|141=Y|" in text for text in found]
        return ups


async def test_numbers_begin_again_at_every_logon_where_the_venue_wants_it(tmp_path: Path) -> None:
    assert await logons(tmp_path, 2, reset_on_logon=True) == [True, True, True]


async def test_numbers_begin_again_at_the_first_logon_of_a_week_only(tmp_path: Path) -> None:
    terms = {"reset_at": "Mon 05:00", "reset_zone": "Australia/Brisbane"}
    assert await logons(tmp_path, 2, **terms) == [True, False, False]
    last = tmp_path / "last-reset"
    last.write_text("2024-05-01T00:00:00+00:00")  # weeks have passed
    assert await logons(tmp_path, 1, **terms) == [True]
    assert not last.read_text().startswith("2024")


async def test_a_venue_of_the_older_protocol_is_spoken_to_in_it(tmp_path: Path) -> None:
    async with open_venue(begin_string="FIX.4.2") as venue, Tap(venue) as tap:
        engine = ChildEngine(session_to(venue, tmp_path, begin_string="FIX.4.2", **tap.address))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        engine.send(
            "order", "A", order("A").replace("FIX.4.4", "FIX.4.2").replace("\x0140=1\x01", "\x0140=LT\x01")
        )
        engine.flush()
        await listener.wait_for(Spooled)
        await engine.stop()
        await listener.task
        (sent,) = tap.messages("D")
        assert sent.startswith("8=FIX.4.2|")
        assert "|40=LT|" in sent


async def test_no_more_connects_than_the_venue_allows_over_drops_refusals_and_restarts(
    tmp_path: Path,
) -> None:
    per_minute = 30
    async with open_venue() as venue, Tap(venue) as tap:
        engine = ChildEngine(session_to(venue, tmp_path, connects_per_minute=per_minute, **tap.address))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        tap.is_refusing = True
        tap.cut()
        await tap.wait_for_connects(3)
        child().kill()
        tap.is_refusing = False
        await listener.wait_for(Up, 2)
        child().kill()
        await listener.wait_for(Up, 3)
        await engine.stop()
        await listener.task
        gaps = [after - before for before, after in zip(tap.connects, tap.connects[1:], strict=False)]
        assert len(gaps) >= 4
        assert min(gaps) >= 60 / per_minute, gaps


async def test_reports_with_repeating_groups_strange_tags_and_values_arrive(tmp_path: Path) -> None:
    """A venue may say more than we know; only what cannot be taken apart is refused."""
    parties = [(453, "2"), (448, "C"), (447, "D"), (452, "3"), (448, "A"), (447, "D"), (452, "38")]
    contra = [(382, "2"), (375, "X"), (375, "Y")]
    odd = {
        "parties": ("8", parties), "contra": ("8", contra), "tag": ("8", [(4321, "x"), (9999, "y")]),
        "value": ("8", [(40, "MIDPX"), (59, "Q"), (60, "yesterday")]), "type": ("U6", [(7010, "1")]),
        "refused": ("9", parties),
        "both": ("8", [*parties, *contra]), "status": ("h", [(336, "1"), (340, "2")]),
    }  # fmt: skip
    async with open_venue() as venue:
        engine = ChildEngine(session_to(venue, tmp_path))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        assert venue.acceptor is not None
        for name, (kind, pairs) in odd.items():
            venue.acceptor.dispatch(Reply([Outgoing(SESSION, message(kind, [(11, name), *pairs]))]))
        found = await listener.wait_for(Spooled, len(odd))
        await engine.stop()
        await listener.task
    assert [one.ref for one in found] == [""] * len(odd), "our own session layer refused none"
    for one, (name, (kind, pairs)) in zip(found, odd.items(), strict=True):
        assert f"\x0135={kind}\x01" in one.raw
        assert f"\x0111={name}\x01" in one.raw
        assert all(f"\x01{tag}={value}\x01" in one.raw for tag, value in pairs)


async def test_a_venues_own_groups_stay_whole_too(tmp_path: Path) -> None:
    users = [(7010, "2"), (553, "anne"), (1, "A"), (553, "bob"), (1, "B")]
    allocations = [(78, "2"), (79, "A"), (12109, "5"), (79, "B"), (12109, "7")]
    own = {"U6": (7010, 553, 1), "AS": (78, 79, 12109)}
    async with open_venue() as venue:
        engine = ChildEngine(session_to(venue, tmp_path, received_groups=own))
        engine.start(0)
        listener = Listener(engine)
        await listener.wait_for(Up)
        assert venue.acceptor is not None
        for kind, pairs in (("U6", users), ("AS", [(70, "X"), *allocations])):
            venue.acceptor.dispatch(Reply([Outgoing(SESSION, message(kind, pairs))]))
        found = await listener.wait_for(Spooled, 2)
        await engine.stop()
        await listener.task
    for one, pairs in zip(found, (users, allocations), strict=True):
        assert one.ref == "", one.raw
        assert "\x01".join(f"{tag}={value}" for tag, value in pairs) in one.raw
