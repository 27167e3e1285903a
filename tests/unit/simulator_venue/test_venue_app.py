"""The venue profile without a socket: messages in, messages and one record out, and the replay of records."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from venue_hand import T0, at

from simulator.accounts import SettingError
from simulator.faults import Fault, Kind
from simulator.fix import command
from simulator.fix.application import Reply
from simulator.fix.message import Message, SessionId
from simulator.fix.store import StoreError
from simulator.fix.venue_app import VenueApp, from_options
from simulator.fix.venue_options import new_prefix
from simulator.venue import VenueError

S44 = SessionId("FIX.4.4", "SIM", "GATEWAY")
S42 = SessionId("FIX.4.2", "SIM", "OLD")
ORDER = "1=main|15=USD|21=1|38=100|40=1|54=1|55=AAPL|60=20260105-14:30:00|"


def options(folder: Path, *more: str) -> Any:
    (folder / "prices.csv").write_text("symbol,price,half_spread_bps\nAAPL,100,0\nIBM,50,0\n")
    (folder / "accounts.json").write_text('{"main": {"cash": "38000.00", "positions": {"AAPL": "100"}}}')
    words = [
        "--profile", "venue", "--comp-id", "SIM", "--accept", "FIX.4.4:GATEWAY", "--accept", "FIX.4.2:OLD",
        "--prices", str(folder / "prices.csv"), "--accounts", str(folder / "accounts.json"), *more,
    ]  # fmt: skip
    return command.parser("venue").parse_args(words)


class Runner:
    """Stand in for the acceptor: a clock, a record and what was dispatched."""

    def __init__(self, app: VenueApp) -> None:
        self.app = app
        self.now = T0
        self.interference: Any = None
        self.records: list[dict[str, Any]] = []
        self.sent: list[str] = []

    def clock(self) -> datetime:
        return self.now

    def dispatch(self, reply: Reply, now: datetime | None = None) -> None:
        assert now in (None, self.now)
        self.take(reply)

    def take(self, reply: Reply) -> list[str]:
        if reply.record is not None:
            self.records.append(json.loads(json.dumps(reply.record)))
        said = [plain(one.message) for one in reply.outgoing]
        self.sent += said
        return said

    def send(self, kind: str, body: str, session: SessionId = S44, **header: bool) -> list[str]:
        pairs = tuple(
            (int(tag), value) for tag, _, value in (one.partition("=") for one in body.split("|")[:-1])
        )
        return self.take(self.app.receive(session, Message(kind, pairs, seq_num=7, **header), self.now))

    def tick(self, ms: float) -> list[str]:
        self.now = at(ms)
        return self.take(self.app.tick(self.now))


def plain(message: Message) -> str:
    hidden = {60, 17, 37}
    fields = "|".join(f"{tag}={value}" for tag, value in message.body if tag not in hidden)
    return f"35={message.msg_type}|{'97=Y|' if message.poss_resend else ''}{fields}"


async def running(folder: Path, *more: str, records: list[dict[str, Any]] | None = None) -> Runner:
    app = from_options(options(folder, *more))
    runner = Runner(app)
    for record in records or []:
        app.replay(record)
    await app.start(runner)
    return runner


async def test_an_order_is_acknowledged_and_filled(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    new, fill = runner.send("D", "11=a|" + ORDER)
    assert new == ("35=8|1=main|6=0|11=a|14=0|38=100|39=0|40=1|54=1|55=AAPL|59=0|150=0|151=100|15=USD")
    assert fill == (
        "35=8|1=main|6=100.00|11=a|14=100|31=100.00|32=100|38=100|39=2|40=1|54=1|55=AAPL|59=0|150=F|151=0|15=USD"
    )
    assert runner.app.record()["accounts"]["main"] == {"cash": "28000.00", "positions": {"AAPL": "200"}}
    status = runner.app.status()
    assert (status["orders"], status["open_orders"], status["is_quiet"]) == (1, 0, True)


async def test_fix_42_has_its_own_words(tmp_path: Path) -> None:
    runner = await running(tmp_path, "--fills-by-hand")
    runner.send("D", "11=a|" + ORDER, S42)
    runner.app.operate("fill", {"cl_ord_id": "a", "qty": "40"})
    runner.app.operate("fill", {"cl_ord_id": "a", "qty": "60"})
    kinds = [
        [field for field in said.split("|") if field[:3] in ("20=", "39=", "150")] for said in runner.sent
    ]
    assert kinds == [["20=0", "39=0", "150=0"], ["20=0", "39=1", "150=1"], ["20=0", "39=2", "150=2"]]
    assert "|20=3|" in runner.send("H", "11=a|54=1|55=AAPL|", S42)[0]
    assert runner.send("H", "11=a|54=1|55=AAPL|", S42)[0].endswith("|150=2|151=0|15=USD")
    assert "|103=0|" in runner.send("D", "11=b|" + ORDER.replace("main", "nobody"), S42)[0]
    assert "|103=1|" in runner.send("D", "11=c|" + ORDER.replace("AAPL", "X"), S42)[0]
    assert "|102=2|" in runner.send("F", "11=a|41=a|54=1|55=AAPL|60=x|", S42)[0]
    assert "|102=1|" in runner.send("F", "11=d|41=z|54=1|55=AAPL|60=x|", S42)[0]


async def test_cancel_and_replace(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    runner.send("D", "11=a|" + ORDER.replace("40=1", "40=2") + "44=90|59=1|")
    (replaced,) = runner.send("G", "11=b|41=a|38=50|40=2|44=91|54=1|55=AAPL|60=x|")
    assert "|41=a|44=91|" in replaced
    assert "|39=0|" in replaced
    assert "|59=1|150=5|151=50|" in replaced
    (canceled,) = runner.send("F", "11=c|41=b|54=1|55=AAPL|60=x|")
    assert "|39=4|40=2|41=b|" in canceled
    assert "|150=4|151=0|" in canceled
    assert runner.send("F", "11=d|41=c|54=1|55=AAPL|60=x|") == [
        "35=9|1=main|11=d|39=4|41=c|58=Too late to cancel|102=0|434=1"
    ]
    assert runner.app.record()["orders"][0]["cl_ord_id"] == "a"


async def test_rejects_say_why(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    (unknown,) = runner.send("D", "11=a|" + ORDER.replace("AAPL", "NONE"))
    assert "|39=8|" in unknown
    assert "|58=Symbol(55) NONE is not listed here|" in unknown
    assert "|103=1|150=8|151=0" in unknown
    assert "|103=13|" in runner.send("D", "11=b|" + ORDER.replace("38=100|", ""))[0]
    (missing,) = runner.send("D", "11=c|" + ORDER.replace("40=1", "40=2"))
    assert missing == "35=j|45=7|58=Conditionally Required Field Missing|372=D|380=5"
    assert runner.send("R", "131=1|") == ["35=j|45=7|58=Unsupported Message Type|372=R|380=3"]
    assert runner.send("U7", "") == ["35=j|45=7|58=Unsupported Message Type|372=U7|380=3"]
    assert runner.send("j", "45=1|") == []


V = "262={}|263={}|264={}|265=0|267=2|269=0|269=1|146=1|55={}|"


async def test_quotes_are_said_when_asked_for_and_when_they_change(tmp_path: Path) -> None:
    runner = await running(tmp_path, "--half-spread-bps", "10")
    (first,) = runner.send("V", V.format(1, 1, 1, "AAPL"))
    assert re.sub("273=[0-9:.]+", "273=T", first) == (
        "35=W|55=AAPL|262=1|268=2|269=0|270=100.00|273=T|269=1|270=100.00|273=T"
    ), "the prices file gives this symbol no spread"
    runner.send("V", V.format("once", 0, 1, "IBM"))
    before = len(runner.sent)
    runner.app.operate("price", {"symbol": "AAPL", "price": "101"})
    runner.app.operate("price", {"symbol": "IBM", "price": "51"})
    runner.app.operate("price", {"symbol": "AAPL", "price": "101"})
    (changed,) = runner.sent[before:]
    assert "|270=101.00|" in changed
    assert runner.send("V", V.format(1, 2, 1, "AAPL")) == []
    runner.app.operate("price", {"symbol": "AAPL", "price": "102"})
    assert runner.sent[before + 1 :] == []
    runner.send("V", V.format(2, 1, 1, "AAPL"))
    runner.app.logged_on(S44, T0)
    before = len(runner.sent)
    runner.app.operate("price", {"symbol": "AAPL", "price": "103"})
    assert runner.sent[before:] == [], "a new connection has asked for nothing yet"


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (V.format(1, 9, 1, "AAPL"), "SubscriptionRequestType(263): use 0, 1 or 2|262=1|281=4"),
        (V.format(1, 1, 0, "AAPL"), "MarketDepth(264): only the top of the book, 1|262=1|281=5"),
        (V.format(1, 1, 1, "AAPL").replace("269=1", "269=2"), "both 0 and 1, and no other|262=1|281=8"),
        (V.format(1, 1, 1, "XXX"), "Symbol(55) XXX is not listed here|262=1|281=0"),
        (V.format(7, 1, 1, "IBM"), "MDReqID(262) is in use, or too many are|262=7|281=1"),
    ],
)
async def test_a_request_for_quotes_is_refused_with_its_reason(
    tmp_path: Path, asked: str, refusal: str
) -> None:
    runner = await running(tmp_path)
    runner.send("V", V.format(7, 1, 1, "AAPL"))
    (said,) = runner.send("V", asked)
    assert said.startswith("35=Y|")
    assert said.endswith(refusal)


async def test_a_walking_market_is_followed(tmp_path: Path) -> None:
    runner = await running(tmp_path, "--walk-bps", "50")
    assert runner.app.next_tick() is None
    runner.send("V", V.format(1, 1, 1, "AAPL"))
    assert runner.app.next_tick() == at(100)
    said = [text for ms in range(100, 5_000, 100) for text in runner.tick(ms)]
    assert len(said) == 4, "one a step of the walk"
    assert len({text.partition("|270=")[2][:6] for text in said}) > 1
    runner.send("V", V.format(1, 2, 1, "AAPL"))
    runner.tick(6_000)
    assert runner.app.next_tick() is None


async def test_a_restated_report_and_commission_reach_the_wire(tmp_path: Path) -> None:
    runner = await running(tmp_path, "--fills-by-hand", "--commission-minimum", "1.50")
    runner.send("D", "11=a|" + ORDER)
    runner.app.operate("fill", {"cl_ord_id": "a", "qty": "40"})
    assert "|11=a|12=1.50|13=3|14=40|" in runner.sent[-1]
    runner.app.operate("restate", {"cl_ord_id": "a", "qty": "80"})
    assert "|150=D|151=40|378=5|15=USD" in runner.sent[-1]


async def test_duplicates_and_possible_resends(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    runner.send("D", "11=a|" + ORDER)
    (refused,) = runner.send("D", "11=a|" + ORDER)
    assert "|58=ClOrdID(11) a is in use|59=0|103=6|150=8|" in refused
    (status,) = runner.send("D", "11=a|" + ORDER, poss_resend=True)
    assert "|39=2|" in status
    assert "|150=I|151=0" in status
    found = runner.app.record()
    assert (len(found["orders"]), found["duplicates"], found["resends"]) == (1, 1, 1)


async def test_status_requests(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    runner.send("D", "11=a|" + ORDER.replace("40=1", "40=2") + "44=90|")
    runner.send("D", "11=b|" + ORDER.replace("40=1", "40=2").replace("AAPL", "IBM") + "44=40|")
    before = len(runner.records)
    (known,) = runner.send("H", "11=a|54=1|55=AAPL|790=q|")
    assert "|58=nothing done|" in known
    assert known.endswith("|150=I|151=100|15=USD|790=q")
    (unknown,) = runner.send("H", "11=z|54=2|55=IBM|")
    assert "|39=8|40=1|54=2|55=IBM|58=Unknown order|59=0|103=5|150=I|151=0" in unknown
    every = runner.send("AF", "584=m|585=7|")
    assert [one.partition("|584")[2] for one in every] == [
        "=m|911=2|912=N",
        "=m|911=2|912=Y",
    ]
    assert len(runner.send("AF", "55=IBM|584=m|585=1|")) == 1
    (none,) = runner.send("AF", "55=X|584=m|585=1|")
    assert none.endswith("|150=I|151=0|584=m|911=0|912=Y")
    (refused,) = runner.send("AF", "584=m|585=5|")
    assert refused == "35=j|45=7|58=MassStatusReqType(585) 5: use 1 or 7|372=AF|380=0"
    assert len(runner.records) == before


async def test_the_records_bring_everything_back(tmp_path: Path) -> None:
    more = ("--fill-delay-ms", "100", "--partials", "4", "--seed", "5", "--commission-bps", "3")
    first = await running(tmp_path, *more)
    first.app.disturb(Fault(Kind.REJECT, skip=1, text="a whim"))
    first.interference = first.app.interference
    for number in range(4):
        first.now = at(number * 10)
        first.send("D", f"11=o{number}|" + ORDER.replace("38=100", "38=900"))
    first.tick(90)
    first.app.operate("price", {"symbol": "AAPL", "price": "101"})
    first.send("F", "11=c|41=o3|54=1|55=AAPL|60=x|", poss_resend=True)
    with pytest.raises(VenueError):
        first.app.operate("fill", {"cl_ord_id": "zz", "qty": "1"})
    first.tick(150)
    second = await running(tmp_path, *more, records=first.records)
    assert second.app.record() == first.app.record()
    assert second.app.next_tick() == first.app.next_tick()
    assert first.app.status()["pending"] == second.app.status()["pending"] > 0
    assert [one["status"] for one in first.app.record()["orders"]].count("rejected") == 1
    assert second.records == []
    second.now = first.now
    for ms in range(200, 2000, 50):
        assert first.tick(ms) == second.tick(ms)
    assert second.app.record() == first.app.record()
    assert second.app.status()["is_quiet"]


async def test_a_failed_operation_leaves_the_replay_in_step(tmp_path: Path) -> None:
    more = ("--walk-bps", "50", "--fill-delay-ms", "20", "--partials", "3")
    first = await running(tmp_path, *more)
    first.now = at(700)
    with pytest.raises(VenueError):
        first.app.operate("fill", {"cl_ord_id": "none", "qty": "1"})
    first.send("D", "11=a|" + ORDER.replace("40=1", "40=2") + "44=99|")
    for ms in range(1000, 60_000, 1000):
        first.tick(ms)
    second = await running(tmp_path, *more, records=first.records)
    assert second.app.record() == first.app.record()


async def test_a_store_is_bound_to_its_options(tmp_path: Path) -> None:
    first = await running(tmp_path, "--seed", "1")
    assert first.records[0]["m"] == "begin"
    with pytest.raises(StoreError, match=r"begun with --seed 1 and not with 2; start with the options"):
        await running(tmp_path, "--seed", "2", records=first.records)
    app = from_options(options(tmp_path))
    (tmp_path / "prices.csv").write_text("symbol,price\nAAPL,7\n")
    other = from_options(command.parser("venue").parse_args([
        "--profile", "venue", "--comp-id", "SIM", "--accept", "FIX.4.4:GATEWAY",
        "--prices", str(tmp_path / "prices.csv"), "--accounts", str(tmp_path / "accounts.json"),
    ]))  # fmt: skip
    app.replay(first.records[0])
    with pytest.raises(StoreError, match="begun with --prices content"):
        other.replay(first.records[0])


async def test_answers_to_a_session_that_is_no_more_go_nowhere(tmp_path: Path) -> None:
    first = await running(tmp_path, "--fills-by-hand")
    first.send("D", "11=a|" + ORDER, S42)
    words = options(tmp_path, "--fills-by-hand")
    words.accept = ["FIX.4.4:GATEWAY"]
    app = from_options(words)
    for record in first.records:
        app.replay(record)
    runner = Runner(app)
    await app.start(runner)
    assert app.operate("fill", {"cl_ord_id": "a", "qty": "100"}) == 1
    assert runner.sent == []


async def test_faults_at_the_venues_desk(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    app = runner.app
    assert app.interference is None
    assert app.disturb(Fault(Kind.SHUFFLE)) == {"shuffle": 1}
    assert runner.interference is app.interference is not None
    app.disturb(Fault(Kind.DUPLICATE, exec_type="F"))
    app.disturb(Fault(Kind.REJECT_CANCEL))
    said = runner.send("D", "11=a|" + ORDER)
    assert [(one[:10], one.split("|150=")[1][0]) for one in said] == [
        ("35=8|1=mai", "F"), ("35=8|97=Y|", "F"), ("35=8|1=mai", "0"),
    ]  # fmt: skip
    runner.send("D", "11=b|" + ORDER.replace("40=1", "40=2") + "44=90|")
    assert "|58=rejected by the fault plan|" in runner.send("F", "11=c|41=b|54=1|55=AAPL|60=x|")[0]
    runner.send("H", "11=b|54=1|55=AAPL|")
    runner.send("F", "11=c|41=b|54=1|55=AAPL|60=x|")
    assert runner.interference is app.interference is None
    app.disturb(Fault(Kind.DROP))
    app.calm()
    app.logged_on(S44, runner.now)
    assert runner.interference is None


async def test_the_meddler_asks_the_plan(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    for kind in (Kind.LOSE, Kind.DISCONNECT_BEFORE, Kind.DISCONNECT_AFTER, Kind.DROP):
        runner.app.disturb(Fault(kind))
    meddler, order = runner.interference, Message("D")
    assert [meddler.before(S44, order) for _ in "123"] == ["drop", "disconnect", "process"]
    assert [meddler.disconnect_after_processing(S44, order) for _ in "12"] == [True, False]
    assert meddler.after(S44, b"8=FIX", is_app=True, now=T0) == []
    assert not meddler.silent(T0)


async def test_ending_and_beginning_again(tmp_path: Path) -> None:
    runner = await running(tmp_path)
    with pytest.raises(VenueError, match="end its process"):
        runner.app.end(None)
    told: list[float | None] = []
    runner.app.direct = told.append
    runner.app.end(None)
    assert runner.app.disturb(Fault(Kind.RESTART, seconds=2)) == {}
    assert told == [None, 2]
    await runner.app.stop()
    with pytest.raises(RuntimeError, match="not started"):
        from_options(options(tmp_path)).operate("close", {})


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (("--partials", "0"), "--partials 0 is too small; give 1 or more"),
        (("--fill-delay-ms", "-1"), "--fill-delay-ms -1.0 is too small"),
        (("--lot", "0"), "--lot 0 is too small"),
        (("--control-port", "-1"), "--control-port -1 is too small"),
        (("--control-port", "65536"), "--control-port 65536 is no port"),
        (("--prices", "none.csv"), "none.csv cannot be read"),
        (("--accounts", "none.json"), "none.json cannot be read"),
    ],
)
def test_options_that_cannot_be_name_the_remedy(tmp_path: Path, more: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(SettingError, match=wrong):
        from_options(options(tmp_path, *more))


@pytest.mark.parametrize("value", ["x", "NaN", "Infinity"])
def test_a_number_must_be_one(tmp_path: Path, value: str) -> None:
    with pytest.raises(command.UsageError, match="argument --lot"):
        options(tmp_path, "--lot", value)


def test_every_account_exists_without_an_accounts_file(tmp_path: Path) -> None:
    words = options(tmp_path)
    words.accounts = None
    app = from_options(words)
    runner = Runner(app)
    said = runner.send("D", "11=a|" + ORDER.replace("main", "anybody").replace("15=USD|", ""))
    assert [one.endswith(end) for one, end in zip(said, ("|151=100", "|151=0"), strict=True)] == [True, True]


def test_each_store_has_a_prefix_of_its_own() -> None:
    assert new_prefix(T0) != new_prefix(at(1))


async def test_no_more_positions_than_the_venue_allows(tmp_path: Path) -> None:
    words = options(tmp_path, "--dialect", "dukascopy")
    (tmp_path / "prices.csv").write_text("symbol,price\nEUR/USD,1.10\nXAA/USD,1.00\n")
    held = {f"XA{chr(65 + n % 26)}/{chr(65 + n // 26)}SD": "5" for n in range(99)} | {"XAA/USD": "5"}
    (tmp_path / "accounts.json").write_text(json.dumps({"main": {"cash": "1000", "positions": held}}))
    words.accept = ["FIX.4.4:GATEWAY"]
    runner = Runner(from_options(words))
    await runner.app.start(runner)
    assert len(held) == 100
    new = ORDER.replace("AAPL", "EUR/USD")
    assert "|58=more than 100 open positions|" in runner.send("D", "11=a|" + new)[0]
    assert "|39=0|" in runner.send("D", "11=b|" + ORDER.replace("AAPL", "XAA/USD"))[0]
