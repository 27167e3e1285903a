"""Every rule of every dialect, kept and broken, told by a client made of raw bytes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from raw_fix import RawPeer
from test_venue_door import Door, kinds, parts

LOGIN = "98=0|108=30|553=u|554=p|"
FRESH = "98=0|108=30|141=Y|553=u|554=p|"
PARTIES = "453=2|448=C|447=D|452=3|448=main|447=D|452=38|"
TRADER = "453=3|448=C|447=D|452=3|448=main|447=D|452=38|448=T|447=D|452=11|"
AT = "60=20260105-14:30:00|"
NAMES = {"saxo": "FIX.4.4:TW44", "dukascopy": "FIX.4.4:TW44", "ibkr": "FIX.4.2:TW42"}


class Venue:
    """One simulator that speaks a dialect."""

    def __init__(self, folder: Path, dialect: str, *options: str) -> None:
        self.begin_string, self.name = NAMES[dialect].split(":")
        self.door = Door(folder)
        (folder / "prices.csv").write_text("symbol,price,half_spread_bps\nAAPL,100,0\nEUR/USD,1.08,0\n")
        (folder / "accounts.json").write_text('{"main": {"cash": "1000000", "positions": {"AAPL": "100"}}}')
        self.door.open("--dialect", dialect, "--accept", NAMES[dialect], "--tick", "0.0001", *options)

    def peer(self, seq_num: int = 1) -> RawPeer:
        peer = RawPeer(self.door.port, self.begin_string, self.name)
        peer.seq_num = seq_num
        return peer

    async def refused(self, logon: str, seq_num: int = 1) -> str:
        """Log on in vain; return the Text(58) of the Logout(5)."""
        peer = self.peer(seq_num)
        (said,) = map(parts, await peer.log_on(logon))
        assert said["35"] == "5", said
        assert await peer.is_hung_up_on()
        return said["58"]

    async def welcome(self, logon: str, seq_num: int = 1) -> RawPeer:
        peer = self.peer(seq_num)
        (said,) = map(parts, await peer.log_on(logon))
        assert said["35"] == "A", said
        return peer


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Venue]]:
    venues: list[Venue] = []

    def open_one(dialect: str, *options: str) -> Venue:
        venues.append(Venue(tmp_path, dialect, *options))
        return venues[-1]

    yield open_one
    for venue in venues:
        if venue.door.process is not None:
            venue.door.kill()


@pytest.fixture(autouse=True)
async def hanging_up() -> AsyncIterator[None]:
    yield
    await RawPeer.close_all()


def new(cl_ord_id: str, more: str, symbol: str = "AAPL", price: str = "44=100|40=2|") -> str:
    return f"11={cl_ord_id}|21=1|54=1|55={symbol}|38=10|{AT}{price}{more}"


async def asked(peer: RawPeer, msg_type: str, body: str, count: int = 1) -> list[dict[str, str]]:
    peer.send(msg_type, body)
    return [parts(one) for one in await peer.read(count)]


async def text_of(peer: RawPeer, msg_type: str, body: str) -> str:
    """Ask for what the venue refuses in an answer of the order's life."""
    (said,) = await asked(peer, msg_type, body)
    assert (said["35"], said.get("39")) in {("8", "8"), ("9", "8"), ("9", "0"), ("9", "2")}, said
    return said["58"]


async def is_unsupported(peer: RawPeer, msg_type: str, body: str) -> bool:
    (said,) = await asked(peer, msg_type, body)
    return (said["35"], said.get("372"), said.get("380")) == ("j", msg_type, "3")


# Saxo.


async def test_saxo_wants_login_and_thirty_seconds(opened: Callable[..., Venue]) -> None:
    venue = opened("saxo")
    required = "Username(553) and Password(554) are required"
    assert await venue.refused("98=0|108=30|", 1) == required
    assert await venue.refused("98=0|108=30|553=u|", 2) == required
    assert await venue.refused(LOGIN.replace("=30", "=31"), 3) == "HeartBtInt(108) must be 30"
    await venue.welcome(LOGIN, 4)


async def test_saxo_begins_the_numbers_again_five_times_and_then_wants_a_call(
    opened: Callable[..., Venue],
) -> None:
    venue = opened("saxo")
    for _ in range(6):
        peer = await venue.welcome(FRESH)
        await peer.play("bye 2 2")
    assert await venue.refused(FRESH) == "ResetSeqNumFlag(141)=Y came more than 5 times; call the desk"
    peer = await venue.welcome(LOGIN, 3)
    venue.door.ask("new_week")
    assert parts((await peer.read(1))[0])["35"] == "5"
    assert await peer.is_hung_up_on()
    await venue.welcome(FRESH)


async def test_saxo_reads_the_account_from_the_parties_and_repeats_them(opened: Callable[..., Venue]) -> None:
    peer = await opened("saxo").welcome(LOGIN)
    for said in await asked(peer, "D", new("a", PARTIES), 2):
        assert "1" not in said
        assert said["453"] == "2"
    peer.send("D", new("b", PARTIES, price="44=90|40=2|"))
    (raw,) = await peer.read(1)
    assert raw.endswith(PARTIES)
    for role in ("3", "38"):
        broken = PARTIES.replace(f"452={role}|", "452=12|")
        text = f"Parties(453) must name PartyRole(452)={role} with PartyIDSource(447)=D"
        assert await text_of(peer, "D", new(f"x{role}", broken)) == text
    assert "452)=3 " in await text_of(peer, "D", new("y", "1=main|"))
    assert "452)=3 " in await text_of(peer, "D", new("z", PARTIES.replace("447=D", "447=B")))
    assert "452)=3 " in await text_of(peer, "F", f"11=c|41=b|54=1|55=AAPL|{AT}")
    assert "452)=3 " in await text_of(peer, "G", new("d", "41=b|"))
    (gone,) = await asked(peer, "F", f"11=e|41=b|54=1|55=AAPL|{AT}{PARTIES}")
    assert (gone["150"], gone["453"]) == ("4", "2")


async def test_saxo_repeats_the_parties_in_a_refused_cancel(opened: Callable[..., Venue]) -> None:
    peer = await opened("saxo").welcome(LOGIN)
    await asked(peer, "D", new("a", PARTIES), 2)
    peer.send("F", f"11=c|41=a|54=1|55=AAPL|{AT}{PARTIES}")
    (raw,) = await peer.read(1)
    assert raw.startswith("35=9|")
    assert raw.endswith(PARTIES)
    peer.send("G", new("d", "41=none|" + TRADER))
    (raw,) = await peer.read(1)
    assert raw.startswith("35=9|")
    assert raw.endswith(TRADER)


async def test_saxo_repeats_the_parties_in_a_refusal_that_comes_later(
    opened: Callable[..., Venue],
) -> None:
    venue = opened("saxo", "--pending-ms", "60000", "--fills-by-hand")
    peer = await venue.welcome(LOGIN)
    await asked(peer, "D", new("a", PARTIES))
    await asked(peer, "F", f"11=c|41=a|54=1|55=AAPL|{AT}{PARTIES}")
    venue.door.ask("decide", cl_ord_id="c", refusal="not now")
    (raw,) = await peer.read(1)
    assert raw.startswith("35=9|")
    assert raw.endswith(PARTIES)


async def test_saxo_wants_a_trader_for_futures_only(opened: Callable[..., Venue]) -> None:
    peer = await opened("saxo").welcome(LOGIN)
    assert "452)=11 " in await text_of(peer, "D", new("a", "167=FUT|" + PARTIES))
    assert len(await asked(peer, "D", new("b", "167=FUT|" + TRADER), 2)) == 2


@pytest.mark.parametrize(
    ("product", "symbol", "ord_type", "taken", "refused"),
    [
        ("167=FOR|", "EUR/USD", "1", "034", "16"),
        ("167=FOR|", "EUR/USD", "2", "014", "36"),
        ("775=1|", "AAPL", "1", "0", "13"),
        ("775=1|", "AAPL", "2", "01", "34"),
        ("", "AAPL", "1", "0", "134"),
        ("", "AAPL", "2", "01", "346"),
    ],
)
async def test_saxo_takes_the_durations_of_its_table(
    opened: Callable[..., Venue], product: str, symbol: str, ord_type: str, taken: str, refused: str
) -> None:
    peer = await opened("saxo", "--fills-by-hand").welcome(LOGIN)
    price = {"1": "40=1|", "2": "40=2|44=1.08|" if "/" in symbol else "40=2|44=90|"}[ord_type]
    for tif in taken:
        body = new(f"t{tif}", f"59={tif}|{product}{PARTIES}", symbol, price)
        said = await asked(peer, "D", body, 2 if tif in "34" else 1)
        assert (said[0]["150"], said[0]["59"]) == ("0", tif), said
    for tif in refused:
        body = new(f"r{tif}", f"59={tif}|{product}{PARTIES}", symbol, price)
        text = f"TimeInForce(59)={tif} is not offered for OrdType(40)={ord_type} here"
        assert await text_of(peer, "D", body) == text


async def test_saxo_names_a_currency_pair_by_both_currencies(opened: Callable[..., Venue]) -> None:
    peer = await opened("saxo").welcome(LOGIN)
    body = new("a", "167=FOR|" + PARTIES, "EURUSD", "40=1|")
    assert await text_of(peer, "D", body) == "Symbol(55) EURUSD is no currency pair; write CCY1/CCY2"
    assert len(await asked(peer, "D", new("b", "167=FOR|" + PARTIES, "EUR/USD", "40=1|"), 2)) == 2


async def test_saxo_answers_no_status_and_takes_its_own_tags(opened: Callable[..., Venue]) -> None:
    peer = await opened("saxo").welcome(LOGIN)
    assert await is_unsupported(peer, "H", "11=a|54=1|55=AAPL|")
    assert await is_unsupported(peer, "AF", "584=m|585=7|")
    assert await is_unsupported(peer, "q", f"11=q|530=7|{AT}")
    assert len(await asked(peer, "D", new("a", PARTIES + "12108=N|12121=Y|"), 2)) == 2
    (said,) = await asked(peer, "D", new("b", PARTIES + "999=1|"))
    assert (said["35"], said["371"]) == ("3", "999")


async def test_saxo_states_what_an_execution_costs_in_its_own_tag(opened: Callable[..., Venue]) -> None:
    peer = await opened("saxo", "--commission-minimum", "1.50").welcome(LOGIN)
    placed, filled = await asked(peer, "D", new("a", PARTIES), 2)
    assert "12115" not in placed
    assert filled["12115"] == "1.50"
    assert not {"12", "13"} & filled.keys()


BLOCK = PARTIES.replace("main", "POOL") + "70=b|78=1|79=main|80=10|"


async def test_saxo_allocates_a_block_before_and_behind_it(opened: Callable[..., Venue]) -> None:
    venue = opened("saxo")
    peer = await venue.welcome(FRESH)
    said = await asked(peer, "D", new("a", BLOCK), 5)
    assert [(one["35"], one.get("87"), one.get("150")) for one in said] == [
        ("P", "3", None),
        ("P", "0", None),
        ("8", None, "0"),
        ("8", None, "F"),
        ("AS", "0", None),
    ]
    assert (said[4]["70"], said[4]["79"], said[4]["12109"]) == ("b", "main", "10")
    assert venue.door.ask("record")["accounts"]["main"]["positions"]["AAPL"] == "110"
    cash = BLOCK.replace("80=10", "12110=1000") + "152=1000|"
    said = await asked(peer, "D", new("c", cash).replace("38=10|", ""), 5)
    assert said[4]["12109"] == "10"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("80=10", "80=9"), "do not add up to tag 38"),
        (("70=b|", ""), r"a block needs AllocID\(70\)"),
        (("78=1|79=main|80=10|", "78=2|79=main|80=5|79=x|80=5|"), "blocks of one account"),
        (("79=main", "79=nobody"), "nobody"),
    ],
)
async def test_saxo_refuses_a_block_whose_allocations_do_not_hold(
    opened: Callable[..., Venue], change: tuple[str, str], reason: str
) -> None:
    peer = await opened("saxo").welcome(FRESH)
    said = await asked(peer, "D", new("a", BLOCK.replace(*change)), 3 if "70" not in change[0] else 1)
    assert [one.get("87", one.get("39")) for one in said][-3:] in (["3", "1", "8"], ["8"])
    assert re.search(reason, said[-1]["58"])


# Dukascopy.


async def test_dukascopy_wants_login_and_a_reset_at_every_logon(opened: Callable[..., Venue]) -> None:
    venue = opened("dukascopy")
    assert await venue.refused("98=0|108=30|141=Y|") == "Username(553) and Password(554) are required"
    wanted = "ResetSeqNumFlag(141) must be Y at every logon"
    assert await venue.refused(LOGIN, 2) == wanted
    assert await venue.refused(LOGIN + "141=N|", 3) == wanted
    peer = await venue.welcome(FRESH.replace("=30", "=17"))
    await peer.play("bye 2 2")
    assert parts((await venue.peer().log_on(FRESH))[0])["34"] == "1"


async def test_dukascopy_takes_five_connections_a_minute(opened: Callable[..., Venue]) -> None:
    venue = opened("dukascopy")
    for _ in range(5):
        peer = await venue.welcome(FRESH)
        await peer.play("bye 2 2")
    with pytest.raises((EOFError, ConnectionResetError)):
        await venue.peer().log_on(FRESH)


async def test_dukascopy_takes_sixteen_orders_a_second(opened: Callable[..., Venue]) -> None:
    peer = await opened("dukascopy", "--fills-by-hand").welcome(FRESH)
    for number in range(20):
        peer.send("D", new(f"o{number}", "1=main|", "EUR/USD", "40=1|"))
    said = [parts(one) for one in await peer.read(20)]
    assert [one["150"] for one in said] == ["0"] * 16 + ["8"] * 4
    assert {one["58"] for one in said[16:]} == {"more than 16 orders a second"}
    (gone,) = await asked(peer, "F", f"11=c|41=o1|54=1|55=EUR/USD|{AT}")
    assert gone["150"] == "4"


async def test_dukascopy_trades_pairs_with_a_quantity(opened: Callable[..., Venue]) -> None:
    peer = await opened("dukascopy").welcome(FRESH)
    assert "is no currency pair" in await text_of(peer, "D", new("a", "1=main|"))
    body = new("b", "1=main|", "EUR/USD", "40=1|").replace("38=10|", "")
    assert await text_of(peer, "D", body) == "OrderQty(38) is missing"
    await asked(peer, "D", new("d", "1=main|", "EUR/USD", "40=2|44=1|"))
    assert "is no currency pair" in await text_of(peer, "F", f"11=c|41=d|54=1|55=EURUSD|{AT}")


async def test_dukascopy_tells_totals_and_positions(opened: Callable[..., Venue]) -> None:
    peer = await opened("dukascopy").welcome(FRESH)
    body = new("a", "1=main|7011=2.5|", "EUR/USD", "40=1|")
    placed, filled, held = await asked(peer, "D", body, 3)
    assert (placed["150"], placed["7011"]) == ("0", "2.5")
    assert (filled["150"], filled["39"], filled["14"], filled["7011"]) == ("F", "2", "10", "2.5")
    assert not {"31", "32"} & filled.keys()
    assert (held["35"], held["55"], held["7004"], held["7008"]) == ("U3", "EUR/USD", "main", "10")
    stated = await asked(peer, "U7", "", 3)
    assert [one["35"] for one in stated] == ["U2", "U3", "U3"]
    assert (stated[0]["7004"], stated[0]["15"]) == ("main", "USD")


async def test_dukascopy_answers_a_mass_status_with_the_day_and_no_single_one(
    opened: Callable[..., Venue],
) -> None:
    peer = await opened("dukascopy").welcome(FRESH)
    (none,) = await asked(peer, "AF", "584=m|585=7|")
    assert (none["37"], none["911"], none["584"]) == ("NONE", "0", "m")
    await asked(peer, "D", new("a", "1=main|", "EUR/USD", "40=1|"), 3)
    await asked(peer, "D", new("b", "1=main|", "EUR/USD", "40=2|44=1|"))
    said = await asked(peer, "AF", "584=n|585=7|", 2)
    assert [(one["11"], one["39"], one["911"], one["912"]) for one in said] == [
        ("a", "2", "2", "N"),
        ("b", "0", "2", "Y"),
    ]
    assert await is_unsupported(peer, "H", "11=a|54=1|55=EUR/USD|")
    assert await is_unsupported(peer, "q", f"11=q|530=7|{AT}")


async def test_dukascopy_closes_whatever_is_held(opened: Callable[..., Venue]) -> None:
    peer = await opened("dukascopy").welcome(FRESH)
    await asked(peer, "D", new("a", "1=main|", "EUR/USD", "40=1|"), 3)
    whole = new("z", "1=main|", "EUR/USD", "40=Z|").replace("38=10|", "")
    placed, filled, held = await asked(peer, "D", whole, 3)
    assert (placed["54"], placed["38"], placed["150"]) == ("2", "10", "0")
    assert (filled["39"], filled["14"]) == ("2", "10")
    assert (held["35"], held["7008"]) == ("U3", "0")
    nothing = whole.replace("11=z|", "11=y|")
    assert "is not a number of whole lots" in await text_of(peer, "D", nothing)


async def test_dukascopy_tells_news_and_what_is_carried_overnight(opened: Callable[..., Venue]) -> None:
    venue = opened("dukascopy")
    peer = await venue.welcome(FRESH)
    await asked(peer, "D", new("a", "1=main|", "EUR/USD", "40=1|"), 3)
    venue.door.ask("notify", account="main", text="margin call", priority=3)
    (news,) = map(parts, await peer.read(1))
    assert (news["35"], news["7004"], news["7003"], news["58"]) == ("U1", "main", "3", "margin call")
    venue.door.ask("close")
    carried = [parts(one) for one in await peer.read(2)]
    assert {(one["35"], one["1"], one["55"], one["7008"]) for one in carried} == {
        ("U4", "main", "AAPL", "100"),
        ("U4", "main", "EUR/USD", "10"),
    }
    with pytest.raises(AssertionError, match="priority is 4; give a whole number up to 3"):
        venue.door.ask("notify", account="main", text="x", priority=4)


async def test_dukascopy_names_who_is_activated(opened: Callable[..., Venue]) -> None:
    peer = await opened("dukascopy").welcome(FRESH)
    for body, count in (("", "1"), ("1=main|", "1"), ("1=other|", "0")):
        (said,) = await asked(peer, "U5", body)
        assert (said["35"], said["7010"]) == ("U6", count)
        assert (said.get("1"), said.get("553")) == (("main", "TW44") if count == "1" else (None, None))


# Interactive Brokers.


async def test_ibkr_leaves_logons_to_the_client(opened: Callable[..., Venue]) -> None:
    venue = opened("ibkr")
    peer = await venue.welcome("98=0|108=10|")
    await peer.play("bye 2 2")
    peer = await venue.welcome("98=0|108=30|", 3)
    await peer.play("bye 4 4")
    for _ in range(7):
        peer = await venue.welcome("98=0|108=30|141=Y|")
        await peer.play("bye 2 2")


async def test_ibkr_names_a_pair_in_two_fields(opened: Callable[..., Venue]) -> None:
    venue = opened("ibkr")
    peer = await venue.welcome("98=0|108=30|")
    said = await asked(peer, "D", new("a", "1=main|167=CASH|15=USD|100=IDEALPRO|", "EUR", "40=1|"), 2)
    assert [(one["55"], one["15"], one["167"], one["20"]) for one in said] == [
        ("EUR", "USD", "CASH", "0")
    ] * 2
    assert [one["150"] for one in said] == ["0", "2"]
    assert venue.door.orders()["a"]["symbol"] == "EUR/USD"
    wanted = "Currency(15) is required with ExDestination(100)=SMART and for currencies"
    assert await text_of(peer, "D", new("b", "1=main|167=CASH|", "EUR", "40=1|")) == wanted
    assert await text_of(peer, "D", new("c", "1=main|100=SMART|", "AAPL", "40=1|")) == wanted
    assert len(await asked(peer, "D", new("d", "1=main|100=SMART|15=USD|167=CS|", "AAPL", "40=1|"), 2)) == 2
    assert len(await asked(peer, "D", new("e", "1=main|", "AAPL", "40=1|"), 2)) == 2


async def test_ibkr_answers_one_status_and_not_all(opened: Callable[..., Venue]) -> None:
    peer = await opened("ibkr").welcome("98=0|108=30|")
    await asked(peer, "D", new("a", "1=main|6010=1|", price="40=2|44=90|"))
    (said,) = await asked(peer, "H", "11=a|54=1|55=AAPL|")
    assert (said["20"], said["150"], said["39"]) == ("3", "0", "0")
    for msg_type in ("AF", "q"):
        (said,) = await asked(peer, msg_type, "584=m|585=7|")
        assert (said["35"], said["372"], said["373"]) == ("3", msg_type, "11")


async def test_ibkr_knows_order_types_of_several_characters(opened: Callable[..., Venue]) -> None:
    venue = opened("ibkr")
    peer = await venue.welcome("98=0|108=30|")
    for number, word in enumerate(("LT", "TSL", "MIDPX")):
        body = new(f"w{number}", "1=main|18=s|", price=f"40={word}|44=90|")
        assert await text_of(peer, "D", body) == f"OrdType(40) {word} is not supported; use 1 or 2"
    (said,) = await asked(peer, "D", new("x", "1=main|", price="40=NONE|44=90|"))
    assert (said["35"], said["371"], said["373"]) == ("3", "40", "5")
    with pytest.raises(AssertionError, match="has no notifications"):
        venue.door.ask("notify", account="main", text="x")


def test_a_dialect_speaks_its_own_version_only(tmp_path: Path) -> None:
    from test_venue_door import run  # noqa: PLC0415 - one use

    code, said = run(Door(tmp_path), "--dialect", "ibkr", "--accept", "FIX.4.4:TW44")
    assert (code, said) == (2, "simulator fix: --accept FIX.4.4: ibkr speaks FIX.4.2; write that\n")


def test_kinds_are_read_from_the_wire() -> None:
    assert kinds(["35=8|150=F|39=2|", "35=j|"]) == ["F/2", "j"]
