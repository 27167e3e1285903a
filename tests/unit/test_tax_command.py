"""`gateway tax`: what it reads, what it prints, and one sentence with the field for every mistake."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.root import main

ROOT = Path(__file__).parents[2]
BUY = {"date": "2023-01-02", "type": "buy", "symbol": "X", "qty": 10, "price": 50}
SELL = {"date": "2023-03-01", "type": "sell", "symbol": "X", "qty": 10, "price": 40}


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command on a document (or raw text); return the exit code, standard output and error."""

    def run(document: Any, *words: str) -> tuple[int, str, str]:
        path = tmp_path / "file.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        code = main(["tax", str(path), *words])
        said = capsys.readouterr()
        return code, said.out, said.err.replace(str(path), "FILE")

    return run


def trades(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"trades": list(rows), **more}


# ---------------------------------------------------------------------------------------- what is said


def test_the_whole_answer(say: Any) -> None:
    code, out, _ = say(trades(BUY, SELL, {**BUY, "date": "2023-03-05", "qty": 4}, prices={"X": 60}))
    found = json.loads(out)
    assert code == 0
    assert set(found) == {"sales", "open_lots", "years", "locks", "as_of", "check"}
    (sale,) = found["sales"]
    assert sale["is_wash_sale"] is True
    assert sale["deferred"] == "40.00"
    assert sale["replaced_by"] == [
        {
            "account": "main", "lot": "2023-03-05", "bought": "2023-03-05", "qty": "4", "amount": "40.00",
            "permanent": False,
        }
    ]  # fmt: skip
    (lot,) = found["open_lots"]
    assert (lot["basis"], lot["unit_basis"], lot["value"], lot["unrealised"], lot["term"]) == (
        "240.00", "60.000000", "240.00", "0.00", "short",
    )  # fmt: skip
    assert found["years"][0]["tax"] == "-22.20"
    assert [lock["action"] for lock in found["locks"]] == ["buy"]
    assert found["check"]["difference"] == "0.00"


def test_nothing_in_nothing_out(say: Any) -> None:
    code, out, _ = say([])
    assert code == 0
    assert json.loads(out)["as_of"] is None


def test_a_short_lot_shows_what_it_brought(say: Any) -> None:
    _, out, _ = say(trades({**BUY, "type": "short"}, prices={"X": 40}))
    (lot,) = json.loads(out)["open_lots"]
    assert (lot["side"], lot["basis"], lot["unrealised"], lot["term"]) == (
        "short",
        "500.00",
        "100.00",
        "short",
    )


def test_form_8949_has_its_columns_and_boxes(say: Any) -> None:
    accounts = {"main": {"type": "taxable", "form": "not_reported"}, "ira": "ira"}
    rows = [{**BUY, "account": "main"}, {**BUY, "account": "ira"}, {**SELL, "account": "main"}]
    rows += [{**SELL, "account": "ira"}, {**BUY, "account": "ira", "date": "2023-03-09", "qty": 2.5}]
    rows += [
        {**BUY, "account": "main", "symbol": "=Y"},
        {**SELL, "account": "main", "symbol": "=Y", "date": "2024-06-03"},
    ]
    code, out, _ = say(trades(*rows, accounts=accounts), "--csv")
    table = list(csv.reader(io.StringIO(out)))
    assert code == 0
    assert [name[:3] for name in table[0][1:9]] == ["(a)", "(b)", "(c)", "(d)", "(e)", "(f)", "(g)", "(h)"]
    assert table[1] == [
        "C", "10 sh. X", "01/02/2023", "03/01/2023", "400.00", "500.00", "W", "25.00", "-75.00", "main",
    ]  # fmt: skip
    assert table[2][:2] == ["F", "10 sh. =Y"]
    assert len(table) == 3, "nobody is taxed on an IRA"
    _, out, _ = say(trades(*rows, accounts=accounts), "--csv", "--year", "2024")
    assert len(out.splitlines()) == 2


def test_a_cell_a_spreadsheet_would_run_is_disarmed(say: Any) -> None:
    rows = [{**BUY, "account": "=1+1"}, {**SELL, "account": "=1+1"}]
    _, out, _ = say(trades(*rows), "--csv")
    assert out.splitlines()[1].endswith(",'=1+1")


def test_the_locks_of_a_day(say: Any) -> None:
    document = trades(BUY, SELL, {**BUY, "date": "2023-03-05", "qty": 4})
    code, out, _ = say(document, "--locks", "2023-03-02")
    assert code == 0
    assert json.loads(out)["locks"][0]["qty"] == "10", "the purchase of the fifth is not known yet"
    code, _, err = say(document, "--locks", "soon")
    assert (code, err) == (2, "gateway: --locks: is not a date; write YYYY-MM-DD\n")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "config/example/tax").glob("*.json")), ids=lambda path: path.stem
)
def test_the_examples_are_read_and_add_up(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tax", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["check"]["difference"] == "0.00"


def test_every_switch_of_the_readme_is_one(say: Any) -> None:
    text = (ROOT / "gateway/domain/tax/README.md").read_text(encoding="utf-8")
    switches = {
        "older_lots": "ignore", "sold_lots": "count", "same_order": "count", "vests": "ignore",
        "reinvestments": "ignore", "covers": "count", "long_sales": "ignore", "short_puts": "count",
        "options": "both_ways", "identical": "symbol", "splits": "as_is", "corporation": "lose",
        "sub_lots": "by_date", "window_days": 20, "rounding": "none",
    }  # fmt: skip
    assert all(f"`{name}`" in text for name in switches)
    assert say(trades(BUY, SELL, policy=switches))[0] == 0


# --------------------------------------------------------------------------------------- what is read


def test_many_ways_to_write_one_thing(say: Any) -> None:
    plain = trades({**BUY, "account": "main"}, {**SELL, "account": "main", "order": "s", "fee": 1})
    other = {
        "accounts": [{"name": "main", "type": "individual", "lot_method": "FIFO", "drip": False}],
        "instruments": [{"symbol": "X", "type": "ETF", "expires": None}, "Z"],
        "transactions": [
            {"on": "2023-03-01T15:30:00", "action": "Sold", "symbol": "X", "shares": "10",
             "proceeds": "$400.00", "commission": "1", "order_id": "s"},
            {"date": "2023-01-02", "side": "Buy to open", "symbol": "X", "quantity": 10.0, "total": "500"},
        ],
    }  # fmt: skip
    assert say(plain)[1] == say(other)[1]


def test_time_orders_a_day(say: Any) -> None:
    day = "2023-01-02"
    rows = [
        {**SELL, "date": f"{day}T14:00", "price": 60}, {**BUY, "date": day, "time": "09:30"},
        {**BUY, "date": f"{day} late", "symbol": "Y"},
    ]  # fmt: skip
    assert say(trades(*rows))[0] == 0


def test_lots_may_be_named_in_many_ways(say: Any) -> None:
    buys = [
        {**BUY, "lot": "A", "order": "o1"}, {**BUY, "date": "2023-01-03", "order": "o2"},
        {**BUY, "date": "2023-01-04"},
    ]  # fmt: skip
    for lots, left in [
        ("A", 500), (["o1"], 500), ({"2023-01-03": 4, "2023-01-04": 6}, 0), ([{"lot": "o2", "qty": 10}], 0),
        ([{"date": "2023-01-04"}], 0), ("2023-01-02", 0),
    ]:  # fmt: skip
        code, out, err = say(trades(*buys, {**SELL, "lots": lots, "method": "lifo"}))
        assert (code, err) == (0, ""), (lots, left)
        assert sum(float(lot["qty"]) for lot in json.loads(out)["open_lots"]) == 20


def test_names_of_accounts_say_their_kind_when_nothing_else_does(say: Any) -> None:
    rows = [
        {**BUY, "account": "main"},
        {**SELL, "account": "main"},
        {**BUY, "date": "2023-03-03", "account": "ira"},
    ]
    assert json.loads(say(trades(*rows))[1])["sales"][0]["permanent"] == "100.00"


@pytest.mark.parametrize(
    ("name", "lost"),
    [("Spouse IRA", True), ("bob-roth", True), ("corp_401k", True), ("spouse_2", False), ("miracle", False)],
)
def test_a_word_of_a_name_says_the_kind_and_untaxed_goes_first(say: Any, name: str, lost: bool) -> None:
    rows = [
        {**BUY, "account": "main"},
        {**SELL, "account": "main"},
        {**BUY, "date": "2023-03-03", "account": name},
    ]
    sale = json.loads(say(trades(*rows))[1])["sales"][0]
    assert (sale["disallowed"], sale["permanent"]) == ("100.00", "100.00" if lost else "0.00")


def test_numbers_may_be_names_and_ratios_numbers(say: Any) -> None:
    split = {"type": "split", "date": "2023-02-01", "symbol": "X", "ratio": 2}
    code, out, _ = say(trades({**BUY, "order": 17}, split, {**SELL, "qty": 5, "lots": 17}))
    assert code == 0
    assert json.loads(out)["open_lots"][0]["qty"] == "15"


def test_losses_carried_in_may_be_negative_or_by_taxpayer(say: Any) -> None:
    for carried in ({"short": -500}, {"household": {"short_term": 500}}):
        found = json.loads(say(trades(BUY, SELL, carry_forward=carried))[1])["years"][0]
        assert found["carried_in"]["short_term"] == "500.00"


def test_identical_sets_may_be_named(say: Any) -> None:
    rows = [BUY, SELL, {**BUY, "symbol": "Y", "date": "2023-03-03"}]
    for identical in ([["X", "Y"]], {"both": ["X", "Y"]}):
        assert json.loads(say(trades(*rows, identical=identical))[1])["sales"][0]["is_wash_sale"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("{", "not valid JSON: Expecting property name enclosed in double quotes at line 1 column 2"),
        ('{"trades": [NaN]}', "NaN is not a number JSON has; write a number"),
        ('{"trades": [], "trades": []}', "trades: stands twice in one object; name it once"),
        ("[" * 100_000, "not readable: a number or a nesting without end; write it shorter"),
        ("5", 'FILE: the file is not an object; write {"field": value, ...}'),
        ({}, "trades: is missing or no list; write [{...}, ...]"),
        (trades(BUY, fees=1), "fees: is not a field here; known: "),
        (trades({}), "trades[0].type: is missing"),
        (trades(7), "trades[0]: is not an object"),
        (trades({**BUY, "type": "bye"}), "trades[0].type: 'bye' is not known; write one of buy, sell"),
        (trades({**BUY, "qty": None}), "trades[0].qty: is missing; write a number"),
        (trades({**BUY, "qty": "ten"}), 'trades[0].qty: is not a number; write one like 100 or "12.50"'),
        (trades({**BUY, "qty": True}), "trades[0].qty: is not a number"),
        (trades({**BUY, "qty": 0}), "trades[0].qty: must be above 0"),
        (trades({**BUY, "qty": "1e99"}), "trades[0].qty: is out of all bounds"),
        (trades({**BUY, "price": -1}), "trades[0].price: must not be below 0"),
        (trades({**BUY, "amount": 1}), "trades[0].price: and amount both say the money"),
        (trades({**BUY, "price": None}), "trades[0].price: is missing"),
        (trades({**BUY, "date": "2023-02-30"}), "trades[0].date: is not a date; write YYYY-MM-DD"),
        (trades({**BUY, "date": None}), "trades[0].date: is missing"),
        (trades({**BUY, "date": "1492-10-12"}), "trades[0].date: is not between 1900-01-01 and 2200-01-01"),
        (trades({**BUY, "symbol": ""}), "trades[0].symbol: is not text"),
        (trades({**BUY, "symbol": None}), "trades[0].symbol: is missing"),
        (trades({**BUY, "prize": 5}), "trades[0].prize: is not a field here"),
        (
            trades(BUY, accounts={"a": "taxable", "b": "ira"}),
            "trades[0].account: is missing; write one of a, b",
        ),
        (
            trades({**BUY, "account": "c"}, accounts={"a": "taxable"}),
            "trades[0].account: 'c' is not among the accounts",
        ),
        (trades(BUY, accounts=5), "accounts: is neither a list nor an object"),
        (trades(BUY, accounts=[{"name": "a"}, {"name": "a"}]), "accounts[1]: a is there already"),
        (trades(BUY, accounts={"a": "offshore"}), "accounts.a.type: 'offshore' is not known"),
        (trades(BUY, accounts={"a": {"drip": "yes"}}), "accounts.a.drip: is not true or false"),
        (
            trades(BUY, accounts={"a": {"form": "x"}}),
            "accounts.a.form: 'x' is not known; write one of basis_reported",
        ),
        (trades(BUY, identical=[["X", 5]]), "identical.X: is not a list of symbols"),
        (
            trades(BUY, policy={"older_lots": "maybe"}),
            "policy.older_lots: 'maybe' is not known; write count or ignore",
        ),
        (trades(BUY, policy={"old_lots": "count"}), "policy.old_lots: is not a field here"),
        (trades(BUY, policy={"window_days": 2.5}), "policy.window_days: must be a whole number"),
        (trades(BUY, rates={"short": -1}), "rates.short: must not be below 0"),
        (trades(BUY, prices={"X": "free"}), "prices.X: is not a number"),
        (trades(BUY, as_of="now"), "as_of: is not a date"),
        (trades(BUY, {**SELL, "lots": "B"}), "trades[1].lots: no lot of X is called 'B'"),
        (
            trades({**BUY, "lot": "a"}, {**BUY, "lot": "b"}, {**SELL, "lots": "2023-01-02"}),
            "trades[2].lots: '2023-01-02' may be a or b; name one of them",
        ),
        (trades(BUY, {**SELL, "lots": {"2023-01-02": -1}}), "trades[1].lots.2023-01-02: must be above 0"),
        (trades(BUY, {**SELL, "qty": 11}), "trades[1].qty: closes 11 of 10 X held in main on 2023-03-01"),
        (
            trades(BUY, {"type": "split", "date": "2023-02-01", "symbol": "X", "ratio": "1:2:3"}),
            "trades[1].ratio: is not a ratio",
        ),
        (
            trades(BUY, {"type": "split", "date": "2023-02-01", "symbol": "X", "ratio": "x"}),
            "trades[1].ratio: is not a number",
        ),
        (
            trades(
                {
                    "type": "spinoff",
                    "date": "2023-02-01",
                    "symbol": "X",
                    "new": "Y",
                    "ratio": 1,
                    "fraction": 2,
                }
            ),
            "trades[0].fraction: must not be above 1",
        ),
        (trades({**BUY, "type": "transfer", "price": None}), "trades[0].to: is missing"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_field(say: Any, document: Any, said: str) -> None:
    code, out, err = say(document)
    assert code == 2
    assert out == ""
    assert err.startswith("gateway: FILE: ")
    assert said in err
    assert err.count("\n") == 1
