"""The gateway watches by itself: a real process, a real Redis, a simulated trading day, a real webhook."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from patience import wait_until

from gateway.cli import main
from gateway.cli.demo import prepare
from gateway.cli.root import NO_ANSWER, OK, USAGE
from gateway.config import load
from gateway.errors import ConfigError
from gateway.runtime import weekly
from gateway.runtime.weekly import write_report
from simulator.stage import Stage

CONFIG = Path(__file__).parents[2] / "config" / "gateway.toml"
EXAMPLE = CONFIG.parent / "example"
DAY = "2022-12-28"
REQUEST = f"drift:main:{DAY}"
TOKEN = "hook-s3cret"
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # apprise's own

Say = Callable[..., tuple[int, str, str]]


class Hook(BaseHTTPRequestHandler):
    """Keep what is posted."""

    posts: list[dict[str, Any]] = []  # noqa: RUF012 - one hook a module

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.posts.append(json.loads(self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing: a path may be a secret."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The demo's stage on a Wednesday an hour after the open; critical drift is traded at once."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stage, _ = prepare(CONFIG, tmp_path_factory.mktemp("monitor"))
    stage.environment |= {
        "GATEWAY_CLOCK__SIMULATED_START": f"{DAY}T15:30:00Z",
        "GATEWAY_ALERTS__URLS__HOOK": f"json://127.0.0.1:{server.server_port}/{TOKEN}",
        "GATEWAY_ACCOUNTS__MAIN__MONITORING__AUTO_EXECUTE": "true",
        "GATEWAY_ACCOUNTS__MAIN__MONITORING__CRITICAL_DRIFT": "0.015",
        "GATEWAY_ACCOUNTS__MAIN__MONITORING__WARNING_DRIFT": "0.01",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stage.child_environment().items():
            patch.setenv(name, value)
        stage.start_redis()
        stage.start_venue()
        stage.start_gateway()
        yield stage
        stage.close()
        server.shutdown()
        server.server_close()


@pytest.fixture
def say(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Say:
    """Type one command; returns exit code, output and error output."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["--config", str(stage.config), *words])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


def request(say: Say, request_id: str) -> dict[str, Any]:
    code, output, _ = say("request", request_id, "--json")
    return dict(json.loads(output)) if code == OK else {}


def test_a_preview_shows_every_part_and_says_why_in_words(say: Say) -> None:
    assert say("alerts")[:2] == (OK, "no alerts\n")
    say("prices", str(EXAMPLE / "prices.csv"))
    code, output, _ = say("preview", str(EXAMPLE / "targets.csv"))
    assert code == OK
    for words in ("drift", "commission", "spread", "tax short", "tax long", "wash sale", "conflict"):
        assert words in output
    assert "Lots that would be sold" in output
    assert "Sell 224 AAPL: it is 7.91% of the account, 3.41 points over its target of 4.50%" in output
    assert "realises a long-term gain of 18,734.24 (tax 3,746.85)" in output
    assert "AMD is not sold although it is 3.03% of the account" in output
    decision = json.loads(say("preview", str(EXAMPLE / "targets.csv"), "--json")[1])["decision"]
    names = {one["symbol"]: one for one in decision["names"]}
    assert names["AMD"]["wash_sale"].startswith("AMD was bought on 2022-12-05")
    assert names["AAPL"]["lots"][0]["is_long"]
    assert decision["why"].keys() == names.keys()
    assert decision["why"]["AAPL"].startswith("Sell 224 AAPL")


def test_the_gateway_watches_by_itself_and_acts_once(say: Say, stage: Stage) -> None:
    """AMD stays two points over its target, for to sell it would be a wash sale: critical here."""
    code, _, error = say("submit", str(EXAMPLE / "targets.csv"), "--request-id", "first", "--wait")
    assert code == OK, error
    say("prices", str(EXAMPLE / "prices.csv"))
    wait_until(lambda: bool(request(say, REQUEST)))
    wait_until(lambda: request(say, REQUEST)["request"]["is_final"])
    assert request(say, REQUEST)["request"]["mode"] == "execute"
    status = say("status")[1]
    assert "drift main       watched against first of 2022-12-28; critical at 2022-12-28 15:3" in status
    assert "in AMD" in status
    wait_until(lambda: bool(Hook.posts))
    (post,) = Hook.posts
    assert post["title"] == "[critical] example: DriftCritical"
    assert f"request {REQUEST} rebalances it now" in post["message"]
    wait_until(lambda: say("prices", str(EXAMPLE / "prices.csv"))[0] == OK and "1 sent" in say("status")[1])
    assert TOKEN not in stage.log("gateway")
    assert TOKEN not in say("config")[1]


def test_a_restart_neither_asks_nor_tells_again(say: Say, stage: Stage) -> None:
    stage.kill("gateway")
    stage.start_gateway()
    say("prices", str(EXAMPLE / "prices.csv"))
    time.sleep(3)
    assert (say("replay")[0], len(Hook.posts)) == (OK, 1)
    status = json.loads(say("status", "--json")[1])
    assert status["drift"]["main"]["seen"]["told"] == ["critical"]
    assert status["alerts"]["hook"] == {"sent": 0, "waiting": 0, "dropped": 0, "failed": 0}


def test_the_gateways_own_ids_are_refused_to_others(say: Say) -> None:
    code, _, error = say("submit", str(EXAMPLE / "targets.csv"), "--request-id", "drift:mine", "--wait")
    assert (code, "begins with drift:" in error) == (USAGE, True)


def test_alerts_are_listed_and_addresses_are_tested(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output, _ = say("alerts")
    assert code == OK
    assert "DriftCritical" in output
    assert json.loads(say("alerts", "--count", "1", "--json")[1])
    assert say("alerts", "--test")[:2] == (OK, "hook: delivered\n")
    assert Hook.posts[-1]["title"] == "[info] example: test"
    monkeypatch.setenv("GATEWAY_ALERTS__URLS__HOOK", "json://127.0.0.1:1/nobody")
    assert say("alerts", "--test")[:2] == (NO_ANSWER, "hook: NOT delivered\n")
    monkeypatch.delenv("GATEWAY_ALERTS__URLS__HOOK")
    code, _, error = say("alerts", "--test")
    assert (code, "no address is configured" in error) == (USAGE, True)


def test_the_report_is_a_page_a_document_or_a_few_lines(say: Say, tmp_path: Path) -> None:
    say("halt", "--account", "main", "--reason", "lunch")
    wait_until(lambda: "HALTED main: lunch" in say("status")[1])
    assert "still halted: lunch" in say("report")[1]
    say("resume")
    wait_until(lambda: "HALTED" not in say("status")[1])
    code, output, _ = say("report")
    assert code == OK
    assert "HALT main since 2022-12-28" in output
    assert "week 2022-W52 (not over yet)" in output
    assert "locked: do not sell at a loss AMD before 2023-01-05" in output
    page, document = tmp_path / "a" / "week.html", tmp_path / "week.json"
    code, output, _ = say("report", "--week", "2022-W52", "--html", str(page), "--json", str(document))
    assert (code, output) == (OK, f"{document}\n{page}\n")
    found = json.loads(document.read_text())
    (account,) = found["accounts"]
    book = json.loads(say("book", "--json")[1])["accounts"]["main"]
    assert (account["cash"], account["nav"]) == (book["cash"], book["nav"])
    assert [one["code"] for one in found["alerts"]].count("DriftCritical") == 1
    assert "Wash-sale locks" in page.read_text(encoding="utf-8")
    assert json.loads(say("report", "--account", "main", "--json", "-")[1])["week"] == "2022-W52"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--week", "soon"), "write one like 2026-W48"),
        (("--account", "nobody"), "--account: nobody is not known; known: main"),
        (("--html", "/proc/nowhere/week.html"), "choose another file"),
    ],
)
def test_a_mistake_is_one_sentence(say: Say, words: tuple[str, str], said: str) -> None:
    code, _, error = say("report", *words)
    assert (code, said in error) == (USAGE, True)


async def test_the_weekly_report_is_written_by_a_process_of_its_own_and_once(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await write_report(stage.config, tmp_path, "2022-W52") == str(tmp_path / "2022-W52.html")
    assert json.loads((tmp_path / "2022-W52.json").read_text())["household"] == "example"
    assert await write_report(stage.config, tmp_path, "2022-W52") == ""
    with pytest.raises(ConfigError, match="is no week"):
        await write_report(stage.config, tmp_path, "soon")
    monkeypatch.setattr(weekly, "TIMEOUT_S", 0.01)
    with pytest.raises(ConfigError, match="took longer"):
        await write_report(stage.config, tmp_path, "2022-W51")
    monkeypatch.setattr(weekly.sys, "executable", "/nowhere")
    with pytest.raises(ConfigError, match="no process can be started"):
        await write_report(stage.config, tmp_path, "2022-W51")
    assert not (tmp_path / "2022-W51.html").exists()


def test_reports_go_beside_the_configuration_or_into_the_state_folder(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(stage.config).reports_folder() == stage.folder / "state" / "reports"
    monkeypatch.setenv("GATEWAY_REPORT__FOLDER", "weekly")
    assert load(stage.config).reports_folder() == CONFIG.parent / "weekly"
    assert datetime.now(UTC) > datetime(2022, 12, 28, tzinfo=UTC)
