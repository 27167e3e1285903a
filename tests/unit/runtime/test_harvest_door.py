"""A harvest at the door: it trades, so it is asked for the signature a target message is asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from gateway.domain.instrument import Instrument
from gateway.domain.settings import AccountSettings, Settings
from gateway.errors import InvalidTargets
from gateway.events import Mode, TargetsSubmitted
from gateway.oms.state import State
from gateway.runtime.clock import SystemClock
from gateway.runtime.doors import Doors
from gateway.runtime.signing import sign
from gateway.runtime.streams import Entry

SETTINGS = Settings("H", {"A1": AccountSettings("A1", "sim")}, {"AAPL": Instrument("AAPL")})
KEY = "a key long enough to sign with, of 32 bytes and more"


def entry(*, key: str = "", **words: Any) -> Entry:
    expires_at = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"command": "harvest", "account": "A1", "request_id": "h1", "expires_at": expires_at} | words
    raw = json.dumps(body).encode()
    return Entry("commands", "1-0", raw, {b"sig": sign(raw, key, "k1").encode()} if key else {})


def read(one: Entry, *, must_be_signed: bool = False) -> TargetsSubmitted:
    keys = {"k1": SecretStr(KEY)}
    event = Doors(SETTINGS, State(), SystemClock(), keys, must_be_signed=must_be_signed).read(one)
    assert isinstance(event, TargetsSubmitted)
    return event


def test_a_harvest_becomes_a_request_without_targets_that_only_shows() -> None:
    event = read(entry())
    assert (event.harvest, event.targets, event.mode, event.entry_id) == (True, {}, Mode.PREVIEW, "1-0")


def test_a_signature_is_asked_for_where_targets_need_one() -> None:
    assert read(entry(key=KEY), must_be_signed=True).signed_by == "k1"
    with pytest.raises(InvalidTargets):
        read(entry(), must_be_signed=True)


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ({"account": "B"}, "account"),
        ({"account": ""}, "account"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "drift:A1:2026-03-02"}, "request_id"),
        ({"mode": "sell"}, "mode"),
        ({"mode": 3}, "mode"),
        ({"mode": ["execute"]}, "mode"),
        ({"expires_at": 5}, "expires_at"),
        ({"expires_at": "2020-01-02T15:00:00Z"}, "expires_at"),
        ({"expires_at": "2199-01-02T15:00:00Z"}, "expires_at"),
        ({"targets": {"AAPL": "0.1"}}, "targets"),
    ],
)
def test_a_wrong_harvest_names_its_field(words: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidTargets) as caught:
        read(entry(**words))
    assert caught.value.field == field
