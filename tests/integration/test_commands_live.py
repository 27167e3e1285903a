"""What a person types, against a real gateway, a real Redis and a real FIX venue: three processes."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from patience import PATIENCE_S, wait_until

from gateway.cli import main
from gateway.cli.demo import compare_with_venue, prepare
from gateway.cli.root import DIFFERS, NO_ANSWER, OK, REFUSED, TAKEN, USAGE
from gateway.client import submit_targets
from gateway.runtime.embedded import socket_path
from gateway.runtime.keys import Keys
from simulator.stage import Stage

CONFIG = Path(__file__).parents[2] / "config" / "gateway.toml"
EXAMPLE = CONFIG.parent / "example"
KEYS = Keys("example")

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The demo's stage, all three processes running."""
    stage, _ = prepare(CONFIG, tmp_path_factory.mktemp("stage"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stage.child_environment().items():
            patch.setenv(name, value)
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        yield stage
        stage.close()


@pytest.fixture
def say(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Say:
    """Type one command; returns exit code, output and error output."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--config", str(stage.config), *words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def told(say: Say, *words: str) -> Any:
    code, output, error = say(*words, "--json")
    assert code == OK, error
    return json.loads(output)


def state_of(say: Say, request_id: str) -> str:
    code, output, _ = say("request", request_id, "--json")
    return str(json.loads(output)["request"]["state"]) if code == OK else ""


def write(folder: Path, **weights: str) -> str:
    path = folder / "targets.csv"
    path.write_text("symbol,weight\n" + "".join(f"{name},{one}\n" for name, one in weights.items()))
    return str(path)


def test_the_status_shows_the_link_and_nothing_working(say: Say) -> None:
    wait_until(lambda: "link sim         up (simulator)" in say("status")[1])
    code, output, _ = say("status")
    assert code == OK
    assert "link sim         up (simulator)" in output
    assert told(say, "orders") == []
    assert say("orders")[1] == "no orders\n"


def test_prices_are_published_or_refused_by_line(say: Say, tmp_path: Path) -> None:
    assert say("prices", str(EXAMPLE / "prices.csv"))[:2] == (OK, "20 prices published\n")
    bad = tmp_path / "prices.csv"
    bad.write_text("symbol,price\nAAPL,\n")
    code, _, error = say("prices", str(bad))
    assert code == USAGE
    assert error.startswith("gateway: line 2:")


def test_a_preview_says_everything_and_sends_nothing(say: Say) -> None:
    say("prices", str(EXAMPLE / "prices.csv"))
    code, output, _ = say("preview", str(EXAMPLE / "targets.csv"))
    assert code == OK
    assert "wash sale" in output
    assert "does not exceed cost" in output
    found = told(say, "preview", str(EXAMPLE / "targets.csv"))
    assert found["request"]["state"] == "previewed"
    assert len(found["decision"]["names"]) == 20
    assert found["decision"]["policy"] == "triggers"
    other = told(say, "preview", str(EXAMPLE / "targets.csv"), "--policy", "smart")
    assert other["decision"]["policy"] == "smart"
    assert told(say, "status")["risk"] == "no price history: how names move together is assumed"
    assert told(say, "orders") == []


def test_a_request_is_followed_to_its_end_and_the_books_agree(say: Say, stage: Stage) -> None:
    say("prices", str(EXAMPLE / "prices.csv"))
    targets = str(EXAMPLE / "targets.csv")
    code, output, error = say("submit", targets, "--request-id", "whole", "--wait", "--timeout", "60")
    assert code == OK
    assert output.startswith("whole\n")
    assert "done: FULL" in output
    assert "Denied (refused by us, never sent)" in output
    assert "wave 2" in error
    book = told(say, "book")
    assert compare_with_venue(book, stage.record()) == []
    assert "Realised gains" in say("book")[1]
    assert say("request", "whole")[1].startswith("done: FULL")
    assert told(say, "request", "whole")["request"]["is_final"]
    orders = told(say, "orders", "--request", "whole")
    assert orders
    assert {one["ord_status"] for one in orders} == {"FILLED"}
    assert told(say, "orders", "--open") == []
    assert orders[0]["cl_ord_id"] in say("orders")[1]


def test_the_same_request_again_is_the_same_request(say: Say) -> None:
    before = told(say, "orders")
    code, output, _ = say("submit", str(EXAMPLE / "targets.csv"), "--request-id", "whole", "--wait")
    assert (code, output.splitlines()[0]) == (OK, "whole")
    assert told(say, "orders") == before


def test_the_replayed_book_equals_the_shown_one_and_a_tampered_one_does_not(say: Say, stage: Stage) -> None:
    assert say("replay")[0] == OK
    assert told(say, "replay")["differences"] == []
    client = redis.Redis(unix_socket_path=str(socket_path(stage.folder / "state")))
    shown = client.get(KEYS.book)
    assert isinstance(shown, bytes)
    book = json.loads(shown)
    book["accounts"]["main"]["cash"] = "1.00"
    client.set(KEYS.book, json.dumps(book))
    code, output, _ = say("replay")
    client.set(KEYS.book, shown)
    client.close()
    assert code == DIFFERS
    assert "cash" in output


def test_halted_means_nothing_leaves_and_resumed_means_it_does(say: Say, tmp_path: Path) -> None:
    assert say("halt", "--account", "main", "--reason", "lunch", "--by", "me")[1] == "halted: main\n"
    assert "HALTED main: lunch" in say("status")[1]
    sent = len(told(say, "orders"))
    say("prices", str(EXAMPLE / "prices.csv"))
    say("submit", write(tmp_path, KO="0.03"), "--request-id", "halted")
    wait_until(lambda: state_of(say, "halted") == "queued")
    assert "queued main: halted" in say("status")[1]
    assert len(told(say, "orders")) == sent
    assert say("halt", "--account", "main", "--reason", "fire drill", "--by", "me")[0] == OK
    assert "HALTED main: lunch; fire drill" in say("status")[1]
    assert say("resume", "--reason", "dinner", "--by", "me")[0] == REFUSED
    assert say("resume", "--account", "main", "--reason", "drill", "--by", "me")[1] == (
        "released: fire drill\nstill halted: lunch\nreleased, not resumed: main\n"
    )
    assert len(told(say, "orders")) == sent
    assert say("resume", "--by", "me")[1] == "released: lunch\nresumed: all accounts\n"
    wait_until(lambda: state_of(say, "halted") == "done")
    assert len(told(say, "orders")) == sent + 1


def test_a_request_may_wait_for_a_person(say: Say, tmp_path: Path) -> None:
    say("prices", str(EXAMPLE / "prices.csv"))
    for name, word in (("yes", "approve"), ("no", "cancel")):
        say("submit", write(tmp_path, KO=f"0.0{len(name)}"), "--request-id", name, "--approve")
        wait_until(lambda name=name: state_of(say, name) == "awaiting_approval")
        assert say(word, name, "--by", "me")[0] == OK
    wait_until(lambda: state_of(say, "yes") == "done")
    assert state_of(say, "no") == "canceled"


def test_only_an_open_order_can_be_settled_by_hand(say: Say) -> None:
    cl_ord_id = told(say, "orders", "--request", "whole")[0]["cl_ord_id"]
    code, _, error = say("settle", cl_ord_id, "1", "--avg-px", "10")
    assert (code, error) == (REFUSED, f"order {cl_ord_id} has ended: FILLED; nothing is settled\n")
    code, _, error = say("settle", "NOBODY", "0")
    assert (code, error) == (REFUSED, "order NOBODY is not known; nothing is settled\n")


def test_corporate_actions_are_stated_by_hand(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    symbol = told(say, "orders", "--request", "whole")[0]["symbol"]
    assert say("return-capital", "main", symbol, "1", "--by", "me") == (OK, f"returned: 1 of {symbol}\n", "")
    monkeypatch.setattr("gateway.cli.command.PATIENCE_S", 0.5)
    code, _, error = say("spin-off", "main", symbol, "NOSUCH", "1", "0.2")
    assert (code, "the lots in the book have not changed" in error) == (REFUSED, True)
    assert say("return-capital", "nobody", symbol, "1")[0] == REFUSED


def test_three_lines_of_python_submit_and_await(stage: Stage) -> None:
    result = submit_targets(stage.folder / "state", "example", {"KO": "0.0300"}, account="main")
    assert result.state in ("done", "held")


def test_what_is_wrong_is_said_with_field_and_remedy(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.command.PATIENCE_S", 0.5)
    for weights, words in (
        ({"AAPL": "lots"}, "AAPL"),
        ({"AAPL": "NaN"}, "AAPL"),
        ({"AAPL": "0.7", "MSFT": "0.7"}, "over 1 (100 %)"),
    ):
        code, _, error = say("submit", write(tmp_path, **weights))
        assert code == USAGE
        assert words in error
        assert "Traceback" not in error
    code, _, error = say("submit", write(tmp_path, NOPE="0.1"), "--request-id", "unknown", "--wait")
    assert code == USAGE
    assert "NOPE" in error
    assert say("submit", str(tmp_path / "nothing.csv"))[0] == USAGE
    assert say("submit", write(tmp_path, KO="0.1"), "--account", "other", "--wait")[0] == USAGE
    assert say("submit", write(tmp_path, KO="0.1"), "--key", "none")[0] == USAGE
    assert say("request", "nobody")[0] == NO_ANSWER
    assert say("approve", "nobody")[0] == NO_ANSWER
    assert say("nonsense")[0] == USAGE
    assert say("submit")[0] == USAGE


def test_a_refused_message_is_a_dead_letter_and_the_gateway_carries_on(say: Say, stage: Stage) -> None:
    client = redis.Redis(unix_socket_path=str(socket_path(stage.folder / "state")))
    client.xadd(KEYS.targets, {"d": b"{ not json"})
    client.close()
    wait_until(lambda: any("json" in one["field"] for one in told(say, "rejected")))
    assert "json" in say("rejected")[1]
    assert say("status")[0] == OK


def test_json_comes_from_standard_input_as_weights_or_as_a_whole_message(
    say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("prices", str(EXAMPLE / "prices.csv"))
    weights = {"KO": "0.0300"}
    message = {"account": "main", "request_id": "whole-message", "mode": "preview", "targets": weights}
    for text in (json.dumps(weights), json.dumps(message)):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        code, output, _ = say("submit", "-", "--json", "--wait")
        assert code == OK
        assert json.loads(output)["state"] in ("done", "held", "previewed")
    assert state_of(say, "whole-message") == "previewed"
    monkeypatch.setattr("sys.stdin", io.StringIO('{"KO": '))
    code, _, error = say("submit", "-")
    assert (code, "not valid JSON" in error) == (USAGE, True)


def test_news_schema_and_configuration_are_json(say: Say) -> None:
    code, output, _ = say("news", "--after", "0", "--count", "3")
    assert code == OK
    assert all("kind" in json.loads(line) for line in output.splitlines())
    assert "targets" in json.loads(say("schema")[1])["properties"]
    assert json.loads(say("config")[1])["household"] == "example"


def test_one_household_has_one_gateway(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.app.LEASE_WAIT_S", 0.5)
    monkeypatch.setattr("gateway.cli.run.setup_logging", lambda *_, **__: None)  # it is for a whole process
    code, _, error = say("run", "--log-level", "error")
    assert code == TAKEN
    assert "household" in error


def test_a_killed_gateway_is_started_again_and_knows_everything(say: Say, stage: Stage) -> None:
    book = told(say, "book")
    assert stage.stop("gateway") == OK
    stage.start_gateway()
    stage.kill("gateway")
    stage.start_gateway()
    wait_until(lambda: told(say, "status")["links"]["sim"]["is_up"])
    say("prices", str(EXAMPLE / "prices.csv"))
    assert told(say, "book")["accounts"]["main"]["cash"] == book["accounts"]["main"]["cash"]
    assert compare_with_venue(told(say, "book"), stage.record()) == []


def test_sigterm_stops_cleanly_and_sigint_twice_at_once(
    say: Say, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.command.PATIENCE_S", 0.5)
    assert stage.stop("gateway") == OK
    assert "stopping: intake first" in stage.log("gateway")
    assert "Traceback" not in stage.log("gateway")
    assert told(say, "orders"), "what was shown can still be read"
    code, _, error = say("halt", "--reason", "too late")
    assert code == NO_ANSWER
    assert "is `gateway run` running?" in error
    stage.start_gateway()
    wait_until(lambda: "" in told(say, "status")["halts"])
    say("resume", "--by", "me")
    process = stage.processes["gateway"]
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) in (-signal.SIGINT, OK, 130)
    assert "Traceback" not in stage.log("gateway")


def test_without_redis_a_command_says_what_to_start(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_STATE_FOLDER", str(tmp_path))
    code, _, error = say("status")
    assert code == NO_ANSWER
    assert "start it with `gateway run`" in error
