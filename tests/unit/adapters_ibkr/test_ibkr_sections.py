"""Settings of TWS that cannot work are refused in a sentence, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load
from gateway.errors import ConfigError

GATEWAY = """
household = "h1"
[links.ib]
kind = "ibkr"
port = 4002
client_id = 21
spare_client_id = 22
{link}
[accounts.sat]
link = "ib"
[accounts.third]
link = "ib"
[instruments.AAPL]
{more}
"""
OTHER = '[links.two]\nkind = "ibkr"\nport = 4002\nclient_id = 23\n'
PRICES = '[quotes.{name}]\nkind = "ibkr"\nof = "ib"\nclient_id = {number}\n'


def problem_of(folder: Path, link: str, more: str) -> str:
    path = folder / "gateway.toml"
    path.write_text(GATEWAY.format(link=link, more=more), encoding="utf-8")
    with pytest.raises(ConfigError) as problem:
        load(path)
    return str(problem.value)


@pytest.mark.parametrize(
    ("link", "more", "words"),
    [
        ("", OTHER.replace("23", "22"), "links.two.client_id: links.ib.spare_client_id is 22, too"),
        ("", f"{OTHER}spare_client_id = 21\n", "links.two.spare_client_id: links.ib.client_id is 21, too"),
        ("", f'{OTHER.replace("23", "21")}host = "localhost"\n', "links.two.client_id: links.ib.client_id"),
        (
            "",
            PRICES.format(name="a", number=30) + PRICES.format(name="b", number=30),
            "quotes.b.client_id: quotes.a.client_id is 30, too",
        ),
        (
            'accounts = {sat = "DU1", third = "DU1"}',
            "",
            "sat and third are both DU1; trade it as one account",
        ),
        ('accounts = {sat = "third"}', "", "sat and third are both third"),
        ('accounts = {sat = "DU\\u00001"}', "", "accounts"),
        ('contracts.AAPL = {symbol = "AAP\\u0000L"}', "", "contracts"),
        ('contracts.AAPL = {primary_exchange = "B\\u00f6rse"}', "", "contracts"),
        ('contracts.AAPL = {exchange = ""}', "", "contracts"),
        ('host = ""', "", "host"),
        ("answer_timeout_s = 0.05", "", "answer_timeout_s"),
        ("heartbeat_s = 0.01", "", "heartbeat_s"),
        ("commission_wait_s = -1", "", "commission_wait_s"),
        ('[[links.ib.restarts]]\nat = 23:45:00\nzone = "America"', "", "zone is no time zone"),
        ('[[links.ib.restarts]]\nat = "23:45:00Z"', "", "at is a time on the clock of zone"),
        ("[[links.ib.restarts]]\nat = 23:45:00\nlead_s = 0\nlasts_s = 0", "", "nothing would pause"),
    ],
)
def test_what_cannot_work_is_refused_in_words(tmp_path: Path, link: str, more: str, words: str) -> None:
    assert words in problem_of(tmp_path, link, more)


def test_what_can_work_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    link = 'accounts = {sat = "DU1", third = "DU2"}\n[[links.ib.restarts]]\nat = "23:45:00"\nlead_s = 0\n'
    elsewhere = OTHER.replace("4002", "4001").replace("23", "21")
    path.write_text(GATEWAY.format(link=link, more=elsewhere + PRICES.format(name="a", number=30)))
    assert list(load(path).tws_links()) == ["ib", "two"]
