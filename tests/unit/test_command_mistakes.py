"""What a user types wrong is one sentence with the field and the remedy, and reaches no stream."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import redis

from gateway.app import serve
from gateway.cli.command import who
from gateway.cli.connect import write_file
from gateway.cli.root import NO_ANSWER, OK, REFUSED, USAGE, main
from gateway.client import GatewayClient
from gateway.config import load
from gateway.errors import ConfigError, InvalidTargets
from gateway.runtime.embedded import EmbeddedServer, ensure, is_answering, make_state_folder, socket_path
from gateway.runtime.keys import Keys

CONFIG = Path(__file__).parents[2] / "config" / "gateway.toml"
NOWHERE = "redis://127.0.0.1:1/0"
KEYS = Keys("example")
Say = Callable[..., tuple[int, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Type one command in an empty folder; returns exit code and error output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gateway.cli.command.PATIENCE_S", 0.2)

    def run(*words: str) -> tuple[int, str]:
        code = main(["--config", str(CONFIG), *words])
        return code, capsys.readouterr().err

    return run


def written(text: str, name: str = "file") -> str:
    Path(name).write_text(text)
    return name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"targets": {"AAPL": "0.1"}, "execution": 5}', "execution: is not an object"),
        ('{"targets": {"AAPL": "0.1"}, "account": 5}', "account: is not text"),
        ('{"targets": {"AAPL": "0.1"}, "colour": "red"}', "colour: is not a field of a target message"),
        ('{"targets": {"AAPL": "0.1"}, "expires_at": "soon"}', "expires_at: write it as text with a time"),
        ('{"AAPL": "0.1", "AAPL": "0.2"}', "AAPL: stands twice"),
        ('{"AAPL": ', "is not valid JSON"),
        ("AAPL,0.1", "line 1 is not the header: write symbol,weight"),
    ],
)
def test_targets_of_another_kind_name_the_field(say: Say, text: str, words: str) -> None:
    for command in ("submit", "preview"):
        if "expires_at" in text and command == "preview":
            continue  # a preview is never late
        code, error = say(command, written(text))
        assert code == USAGE
        assert error.startswith("gateway: ")
        assert words in error


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: is not the header: write symbol,price"),
        ("AAPL,1\n", "line 1: is not the header"),
        ("symbol,price\nAAPL,\n", "line 2: write one symbol,price a line"),
        ("symbol,price\nAAPL,1\nAAPL,2\n", "line 3: names AAPL again"),
        ("symbol,price\nAAPL," + "9" * 200_000, "field larger than field limit"),
    ],
)
def test_prices_that_are_none_name_the_line(say: Say, text: str, words: str) -> None:
    code, error = say("prices", written(text))
    assert (code, words in error) == (USAGE, True), error


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("halt", "--account", "ira"), "--account: ira is not known; known: main"),
        (("resume", "--account", "ira"), "--account: ira is not known; known: main"),
        (("submit", "file", "--account", "ira"), "--account: ira is not known; known: main"),
        (("report", "--account", "ira"), "--account: ira is not known; known: main"),
        (("harvest", "--account", "ira"), "--account: ira is not known; known: main"),
        (("harvest", "--approve"), "--approve goes with --submit"),
        (("news", "--after", "yesterday"), "write the id of an entry, like 1795907848372-0, or 0"),
        (("submit", "file", "--lifetime", "-5"), "--lifetime"),
        (("submit", "file", "--slices", "0"), "--slices"),
        (("report", "--json", "."), "is a directory"),
        (("train", "--cost-bps", "-5"), "--cost-bps"),
        (("train", "--risk-aversion", "0"), "--risk-aversion"),
        (("train", "--symbol", "NONE", "--out", "file/rule.npz"), "--out: file cannot be made"),
        (("train", "--symbol", "NONE"), "NONE is not in the history"),
        (("certify", "plain", "--report", "file/here"), "--report: file/here cannot be made"),
        (("demo", "--keep", "file/demo"), "--keep: file/demo cannot be made"),
        (("venues", "--config", "nowhere.toml"), "nowhere.toml: no such file"),
        (("backtest", "nowhere.toml"), "nowhere.toml: no such file; give a file as config/backtests"),
    ],
)
def test_an_option_that_cannot_be_names_itself(
    say: Say, monkeypatch: pytest.MonkeyPatch, typed: tuple[str, ...], words: str
) -> None:
    monkeypatch.setenv("GATEWAY_REDIS__URL", NOWHERE)
    written("symbol,weight\nAAPL,0.1\n")
    code, error = say(*typed)
    assert (code, words in error) == (USAGE, True), error


def test_a_file_is_written_whole_and_what_is_no_file_is_never_replaced(tmp_path: Path) -> None:
    write_file(tmp_path / "new" / "page.html", "page")
    assert [one.name for one in (tmp_path / "new").iterdir()] == ["page.html"]
    (tmp_path / "link").symlink_to(tmp_path / "new" / "page.html")
    write_file(tmp_path / "link", "other")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new" / "page.html").read_text() == "other"
    write_file(Path("/dev/null"), "nothing")
    with pytest.raises(ConfigError, match=r"cannot be written .*; choose another file"):
        write_file(tmp_path / "link" / "page.html", "page")


def test_a_client_refuses_what_the_gateway_would() -> None:
    async def ask() -> None:
        async with GatewayClient(NOWHERE, "example") as client:
            past = datetime(2020, 1, 1, tzinfo=UTC)
            for asked, field in (
                (client.publish_prices({"AAPL": "-1"}), "prices.AAPL"),
                (client.publish_prices({"AAPL": Decimal(0)}), "prices.AAPL"),
                (client.publish_prices({}), "prices"),
                (client.settle("C1", "all"), "cum_qty"),
                (client.settle("C1", "5"), "avg_px"),
                (client.spin_off("main", "T", "WBD", "10", "2"), "fraction"),
                (client.return_capital("main", "T", "0"), "amount"),
                (client.halt(reason="x" * 501), "reason"),
                (client.submit({"AAPL": True}, account="main"), "targets.AAPL"),
                (client.submit({"AAPL": [1]}, account="main"), "targets.AAPL"),  # type: ignore[dict-item]
                (client.submit({"AAPL": "0.1"}, account="main", lifetime_s=-1), "expires_at"),
                (client.submit({"AAPL": "0.1"}, account="main", as_of=past, expires_at=past), "expires_at"),
            ):
                with pytest.raises(InvalidTargets) as problem:
                    await asked
                assert problem.value.field == field

    asyncio.run(ask())


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    """A server that shows one working request and one that is done, and an empty book; no gateway runs."""
    server = EmbeddedServer(tmp_path / "state")
    server.start()
    monkeypatch.setenv("GATEWAY_STATE_FOLDER", str(tmp_path / "state"))
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        for state in ("working", "done"):
            client.set(KEYS.request(state), json.dumps({"state": state}))
        client.set(KEYS.book, json.dumps({"accounts": {}}))
        yield client
    assert server.stop()


def test_nothing_is_asked_of_a_request_that_cannot_be_moved(say: Say, shown: redis.Redis) -> None:
    assert say("status") == (
        NO_ANSWER, "gateway: no gateway has run for this household yet: start it with `gateway run`\n",
    )  # fmt: skip
    assert say("cancel", "done") == (REFUSED, "request done is done: nothing of it is left to cancel\n")
    assert say("approve", "done") == (REFUSED, "request done is done: it waits for no approval\n")
    assert say("approve", "working")[0] == REFUSED
    assert say("return-capital", "ira", "T", "1") == (
        REFUSED, "account ira is not in the book; nothing is stated\n",
    )  # fmt: skip
    assert say("spin-off", "ira", "T", "WBD", "1", "0.2")[0] == REFUSED
    assert not shown.xlen(KEYS.commands)
    code, error = say("cancel", "working")
    assert (code, "no gateway has confirmed it" in error) == (NO_ANSWER, True)
    code, error = say("cancel", "nobody")
    assert (code, "request nobody is not known" in error) == (NO_ANSWER, True)
    assert shown.xlen(KEYS.commands) == 2  # a request may be on its way: to stop it is asked all the same


def test_a_user_without_a_name_is_known_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    assert who()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 4_000_000_123)
    assert who() == "uid 4000000123"


async def test_a_server_whose_start_is_given_up_does_not_stay(tmp_path: Path) -> None:
    starting = asyncio.ensure_future(ensure(tmp_path / "state"))
    await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not is_answering(socket_path(tmp_path / "state"))


def test_the_help_begins_with_commands_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == OK
    assert "\n  A first look:          gateway demo\n" in capsys.readouterr().out


def test_the_status_says_what_is_known_of_risk(
    shown: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = ("household", "at", "pid", "epoch", "journal_seq", "open_orders", "waiting_to_send", "version")
    nothing = {name: {} for name in ("links", "drop_copies", "halts", "active", "queued")}
    old = "risk of 20 names to 2024-02-21; too old to use on 2024-03-12"
    shown.set(KEYS.status, json.dumps({**dict.fromkeys(plain, 1), **nothing, "risk": old}))
    assert main(["--config", str(CONFIG), "status"]) == OK
    assert f"risk             {old}\n" in capsys.readouterr().out


def test_a_folder_nothing_can_be_kept_in_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"state_folder: .*file/state: cannot be made"):
        make_state_folder(tmp_path / "file" / "state")
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write anywhere
    with pytest.raises(ConfigError, match="may not be written to"):
        make_state_folder(tmp_path / "closed")


async def test_a_gateway_that_waits_for_redis_stops_when_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_REDIS__URL", NOWHERE)
    monkeypatch.setenv("GATEWAY_STATE_FOLDER", str(tmp_path / "state"))
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, stop.set)
    async with asyncio.timeout(10):
        await serve(load(CONFIG), stop)
