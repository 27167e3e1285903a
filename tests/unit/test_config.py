"""The configuration: every mistake is one sentence with file, key and remedy, and never a secret."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.config import load
from gateway.domain.order import OrdType, TimeInForce
from gateway.domain.request import PolicyName
from gateway.domain.settings import DropCopySettings, Period, Risk, Tier
from gateway.errors import ConfigError
from gateway.valuation import CostsSection

EXAMPLE = Path(__file__).parents[2] / "config" / "gateway.toml"

GATEWAY = """
household = "h1"
accounts_file = "accounts.toml"
{top}
[links.sim]
environment = "{environment}"
sender_comp_id = "GW"
target_comp_id = "SIM"
port = {port}
{links}
[instruments.AAPL]
volatility = 0.3
"""
ACCOUNTS = """
[main]
link = "{link}"
opening_cash = 100.25
opening_lots = "lots.csv"
[main.execution]
ord_type = "market"
time_in_force = "ioc"
{accounts}
"""
LOTS = "symbol,acquired,qty,cost\nAAPL,2020-01-02,10,1000.50\n"


def write(folder: Path, **changes: str) -> Path:
    words = {"top": "", "environment": "simulator", "port": "5001", "links": "", "link": "sim"}
    words |= {"accounts": ""} | changes
    (folder / "accounts.toml").write_text(ACCOUNTS.format(**words))
    (folder / "lots.csv").write_text(words.get("lots", LOTS))
    path = folder / "gateway.toml"
    path.write_text(GATEWAY.format(**words))
    return path


def test_the_example_configuration_is_valid_and_means_what_it_says() -> None:
    config = load(EXAMPLE)
    settings = config.settings()
    assert settings.household == "example"
    assert len(settings.instruments) >= 20
    assert settings.accounts["main"].limits.max_order_nav_share == Decimal("0.10")
    assert {lot.symbol for lot in config.opening_lots("main")} <= set(settings.instruments)


def test_the_bundled_venue_is_given_the_same_opening_book() -> None:
    config = load(EXAMPLE)
    held: dict[str, Decimal] = {}
    for lot in config.opening_lots("main"):
        held[lot.symbol] = held.get(lot.symbol, Decimal(0)) + lot.qty
    venue = json.loads((EXAMPLE.parent / "example" / "venue-accounts.json").read_text())["main"]
    assert Decimal(venue["cash"]) == config.accounts["main"].opening_cash
    assert {symbol: Decimal(qty) for symbol, qty in venue["positions"].items()} == held


def test_words_become_plain_settings(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    account = config.settings().accounts["main"]
    assert (account.execution.ord_type, account.execution.time_in_force) == (
        OrdType.MARKET, TimeInForce.IMMEDIATE_OR_CANCEL,
    )  # fmt: skip
    (lot,) = config.opening_lots("main")
    assert (lot.symbol, lot.acquired, lot.qty, lot.cost) == ("AAPL", "2020-01-02", 10, Decimal("1000.50"))
    assert re.fullmatch("[0-9a-f]{16}", config.digest())


def test_an_account_without_lots_begins_empty(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "accounts.toml").write_text('[main]\nlink = "sim"\n')
    assert load(path).opening_lots("main") == ()


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_LINKS__SIM__PORT", "6000")
    monkeypatch.setenv("GATEWAY_LINKS__SIM__PASSWORD", "opensesame")
    config = load(write(tmp_path))
    assert config.links["sim"].port == 6000
    assert config.links["sim"].password.get_secret_value() == "opensesame"
    assert "opensesame" not in repr(config)


def test_monitoring_and_alerts_are_read_and_an_address_is_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_ALERTS__URLS__OPS", "json://127.0.0.1/opensesame")
    accounts = "[main.monitoring]\ncalendar = '24/5'\nauto_execute = true\nwarning_drift = 0.02"
    config = load(write(tmp_path, accounts=accounts, top='[report]\nfolder = "weekly"'))
    watched = config.settings().accounts["main"].monitoring
    assert (watched.calendar, watched.auto_execute) == ("24/5", True)
    assert (watched.warning_drift, watched.critical_drift) == (Decimal("0.02"), Decimal("0.10"))
    assert config.alerts.urls["ops"].get_secret_value().endswith("opensesame")
    assert config.reports_folder() == tmp_path / "weekly"
    assert "opensesame" not in repr(config) + config.model_dump_json()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"port": "70000"}, "links.sim.port"),
        ({"top": "colour = 1"}, "colour"),
        ({"top": 'time_zone = "Mars/Base"'}, "time_zone: not a time zone"),
        ({"link": "nowhere"}, "no link 'nowhere'; known: sim"),
        ({"accounts": "[main.limits]\nmax_turnover = 0"}, "accounts.main.limits.max_turnover"),
        ({"accounts": "[main.limits"}, "not valid TOML"),
        (
            {"environment": "paper", "top": "[clock]\nsimulated_start = 2022-12-28T21:00:00Z"},
            "clock.simulated_start: links sim are not simulators",
        ),
        (
            {"accounts": "[main.monitoring]\ncritical_drift = 0.01"},
            "accounts.main.monitoring: critical_drift is below warning_drift; raise it",
        ),
        ({"accounts": "[main.monitoring]\ncalendar = 'New York'"}, "accounts.main.monitoring.calendar"),
        ({"top": '[alerts]\nmin_severity = "loud"'}, "alerts.min_severity"),
        ({"lots": "symbol,qty\nAAPL,1\n"}, "column 'acquired' is missing"),
        ({"lots": "symbol,acquired,qty,cost\nAAPL,yesterday,1,1\n"}, "lots.csv:2: acquired must be"),
        ({"lots": "symbol,acquired,qty,cost\nAAPL,2020-01-02,-1,1\n"}, "lots.csv:2: qty must be above 0"),
        ({"lots": "symbol,acquired,qty,cost\nAAPL,2020-01-02,NaN,1\n"}, "lots.csv:2: qty must be above 0"),
        ({"lots": "symbol,acquired,qty,cost\nMSFT,2020-01-02,1,1\n"}, "MSFT is not in instruments"),
    ],
)
def test_a_mistake_is_one_sentence_naming_the_key(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as problem:
        load(write(tmp_path, **changes))
    assert str(tmp_path) in str(problem.value)
    assert "\n" not in str(problem.value)


def test_several_mistakes_are_counted_and_no_value_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path, port="70000", links='password = 5\nusername = 7\nhost = "h"')
    with pytest.raises(ConfigError, match="more") as problem:
        load(path)
    assert "70000" not in str(problem.value)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; give the configuration with --config"):
        load(tmp_path / "gateway.toml")
    path = write(tmp_path)
    (tmp_path / "lots.csv").unlink()
    with pytest.raises(ConfigError, match="no such file of opening lots"):
        load(path)
    (tmp_path / "lots.csv").write_bytes(b"symbol,acquired,qty,cost\n\xff\xfe\n")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(path)


QUOTES = """
[quotes.rates]
dialect = "{dialect}"
sender_comp_id = "DATA"
target_comp_id = "SIM"
port = 5001
{more}
"""


@pytest.mark.parametrize(
    ("dialect", "more", "wrong"),
    [
        ("plain", 'symbols = ["ZZZ"]', "quotes.rates.symbols: ZZZ is not in instruments; add it there"),
        ("plain", 'host = "10.0.0.1"', "quotes.rates.host: 10.0.0.1 is another machine in plain text"),
        ("ibkr", "", "Interactive Brokers quotes no prices over FIX; leave this section out"),
        ("plain", "interval_s = 0", "quotes.rates.interval_s"),
    ],
)
def test_a_quote_session_that_cannot_be_names_the_key(
    tmp_path: Path, dialect: str, more: str, wrong: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(wrong)):
        load(write(tmp_path, links=QUOTES.format(dialect=dialect, more=more)))


def test_two_sessions_cannot_share_a_name(tmp_path: Path) -> None:
    text = QUOTES.format(dialect="plain", more="").replace("rates", "sim")
    with pytest.raises(ConfigError, match=re.escape("quotes.sim: links.sim has the same name; rename one")):
        load(write(tmp_path, links=text))


def test_a_drop_copy_names_a_link_and_says_what_a_difference_does(tmp_path: Path) -> None:
    text = QUOTES.format(dialect="plain", more='of = "{of}"\nhalts = true')
    text = text.replace("quotes.rates", "drop_copies.copy")
    settings = load(write(tmp_path, links=text.replace("{of}", "sim"))).settings()
    assert settings.drop_copies == {"copy": DropCopySettings("sim", Decimal(30), halts=True)}
    with pytest.raises(ConfigError, match=re.escape("drop_copies.copy.of: no FIX link 'xyz'; known: sim")):
        load(write(tmp_path, links=text.replace("{of}", "xyz")))


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        ('style = "iceberg"', "accounts.main.execution.style"),
        ('style = "vwap"', "volume_curve is empty: vwap needs the weights"),
        ('style = "chase"', 'style is chase, which moves a limit: set ord_type = "limit"'),
        ("slices = 0", "slices write 1 to 1000"),
        ('style = "twap"\nduration_s = 1\nslices = 100', "less than 0.1 s a slice"),
        ("volume_curve = [1, -1]", "volume_curve write at most 1000 numbers"),
        ("chase_limit_bps = 20000", "chase_limit_bps write 0 to 10000"),
        ("cash_orders = true", 'cash_orders are for the day: set time_in_force = "day"'),
    ],
)
def test_an_execution_style_that_cannot_be_names_the_key(tmp_path: Path, written: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(wrong)):
        load(write(tmp_path, accounts=written))


def test_buying_in_money_takes_a_venue_of_money(tmp_path: Path) -> None:
    write(tmp_path)
    accounts = tmp_path / "accounts.toml"
    text = accounts.read_text(encoding="utf-8")
    accounts.write_text(text.replace('"ioc"', '"day"\ncash_orders = true'), encoding="utf-8")
    words = "accounts.main.execution.cash_orders: link sim takes orders of a quantity only; set it to false"
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(tmp_path / "gateway.toml")
    gateway = tmp_path / "gateway.toml"
    text = gateway.read_text(encoding="utf-8")
    saxo = '[links.sim]\ndialect = "saxo"\nusername = "U"\npassword = "P"\nvenue = { client_id = "C" }'
    gateway.write_text(text.replace("[links.sim]", saxo), encoding="utf-8")
    assert load(gateway).settings().accounts["main"].execution.cash_orders


def test_an_accounts_execution_style_is_read(tmp_path: Path) -> None:
    found = load(
        write(tmp_path, accounts='style = "vwap"\nduration_s = 90\nvolume_curve = [3, 1, 2]')
    ).settings()
    schedule = found.accounts["main"].execution.schedule
    assert (schedule.style, schedule.step_s, schedule.weights) == ("vwap", 30, (3, 1, 2))


def test_a_named_price_list_is_filled_in_and_what_is_written_beside_it_wins(tmp_path: Path) -> None:
    accounts = '[main.costs]\nschedule = "ibkr-tiered"\nmonthly_shares = 400000\ncommission_minimum = 0.5'
    config = load(write(tmp_path, accounts=accounts))
    costs = config.settings().accounts["main"].costs
    published = CostsSection(schedule="ibkr-tiered").costs()
    assert len(published.tiers) == 5
    assert costs == replace(published, monthly_shares=Decimal(400_000), commission_minimum=Decimal("0.5"))
    assert json.loads(config.model_dump_json())["accounts"]["main"]["costs"]["schedule"] == "ibkr-tiered"


def test_tiers_policies_risk_and_harvest_are_read(tmp_path: Path) -> None:
    accounts = """
[main.costs]
tiers = [{ above = 0, per_share = 0.004 }, { above = 1000, per_share = 0.002 }]
[main.decision]
policy = "calendar"
calendar_period = "weekly"
calendar_day = 5
cooldown_days = 31
timing = true
[main.harvest]
years = 4
"""
    top = "closed_days = [2024-12-25]\n[risk]\nwindow_days = 252\n[substitutes]\nAAPL = []"
    settings = load(write(tmp_path, accounts=accounts, top=top)).settings()
    account = settings.accounts["main"]
    assert account.costs.tiers == (Tier(Decimal(0), Decimal("0.004")), Tier(Decimal(1000), Decimal("0.002")))
    decision = account.decision
    assert (decision.policy, decision.calendar_period) == (PolicyName.CALENDAR, Period.WEEKLY)
    assert (decision.calendar_day, decision.cooldown_days, decision.timing) == (5, 31, True)
    assert account.harvest.years == 4
    assert settings.closed_days == {date(2024, 12, 25)}
    assert settings.risk == Risk(window_days=252)
    assert settings.substitutes == {"AAPL": ()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"accounts": '[main.costs]\nschedule = "ibkr"'},
            "accounts.main.costs: schedule is not a known price list; write one of ibkr-fixed",
        ),
        ({"accounts": "[main.costs]\nfees = 1"}, "accounts.main.costs.fees"),
        (
            {"accounts": "[main.costs]\ntiers = [{ above = 5, per_share = 0 }]"},
            "tiers must begin at above = 0",
        ),
        (
            {"accounts": "[main.costs]\ntiers = [{above = 0, per_share = 1}, {above = 0, per_share = 2}]"},
            "tiers must begin at above = 0 and climb",
        ),
        ({"accounts": '[main.decision]\npolicy = "luck"'}, "accounts.main.decision.policy"),
        (
            {"accounts": '[main.decision]\ncalendar_period = "weekly"\ncalendar_day = 8'},
            "calendar_day is past the end of a week",
        ),
        (
            {"top": "[risk]\nwindow_days = 100\nmin_observations = 200"},
            "min_observations is above window_days",
        ),
        ({"top": '[substitutes]\nAAPL = ["MSFT"]'}, "substitutes.AAPL: MSFT is not in instruments"),
        (
            {"links": '[instruments.SAP]\ncurrency = "EUR"'},
            "instruments.SAP.currency: no account keeps EUR; add its rate EUR/USD as an instrument, too",
        ),
        ({"top": "[substitutes]\nIBM = []"}, "substitutes.IBM: IBM is not in instruments"),
        ({"top": 'substitutes_file = "none.toml"'}, "none.toml: no such file"),
    ],
)
def test_what_the_decision_layer_cannot_work_with_names_the_key(
    tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(write(tmp_path, **changes))


def test_the_example_substitutes_fit_the_example_instruments(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace(
        'instruments_file = "instruments.toml"',
        'instruments_file = "instruments.toml"\nsubstitutes_file = "substitutes.toml"',
    )
    for name in ("accounts.toml", "instruments.toml", "substitutes.toml"):
        (tmp_path / name).write_text((EXAMPLE.parent / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "example").mkdir()
    (tmp_path / "example" / "lots.csv").write_bytes((EXAMPLE.parent / "example" / "lots.csv").read_bytes())
    (tmp_path / "gateway.toml").write_text(text, encoding="utf-8")
    assert len(load(tmp_path / "gateway.toml").settings().substitutes) == 20


@pytest.mark.parametrize("sections", ["fix/saxo", "fix/dukascopy", "fix/ibkr", "ibkr/paper"])
def test_sections_to_copy_are_accepted_as_they_stand(tmp_path: Path, sections: str) -> None:
    text = (EXAMPLE.parent / f"{sections}.toml").read_text()
    link = text.partition("[links.")[2].partition("]")[0]
    pairs = "[AAPL]\n['EUR/USD']\n"
    (tmp_path / "instruments.toml").write_text(pairs)
    (tmp_path / "accounts.toml").write_text(f'[main]\nlink = "{link}"\n')
    head = 'household = "h"\naccounts_file = "accounts.toml"\ninstruments_file = "instruments.toml"\n'
    (tmp_path / "gateway.toml").write_text(head + text)
    assert link in load(tmp_path / "gateway.toml").links


def test_every_key_the_example_shows_is_one(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE.parent, tmp_path / "config")
    for name in ("gateway.toml", "accounts.toml"):
        path = tmp_path / "config" / name
        keys = r"^# ([a-z_]+ = |\[[a-z.]+\])"
        shown = re.sub(keys, r"\1", path.read_text(), flags=re.MULTILINE)
        path.write_text(shown.replace('url = "rediss', '# url = "rediss'))
    main = load(tmp_path / "config" / "gateway.toml").settings().accounts["main"]
    assert (main.harvest.watch, main.decision.timing, main.execution.schedule.slices) == (True, True, 10)
