"""The `execution` object of a target message: what it may say, how it is refused, how a client writes it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from test_schema import ACCOUNTS, INSTRUMENTS, NOW, message, parse

from gateway.cli.styles import NAMES, OPTIONS, written_as_said
from gateway.domain.instrument import Instrument
from gateway.domain.order import OrdType
from gateway.domain.schedule import ChaseEnd, Schedule, ScheduleOverride, Style
from gateway.domain.settings import AccountSettings, Execution, Settings
from gateway.errors import InvalidTargets
from gateway.events import TargetsSubmitted
from gateway.oms.state import State
from gateway.runtime.clock import SystemClock
from gateway.runtime.doors import Doors
from gateway.runtime.schema import json_schema
from gateway.runtime.streams import Entry
from gateway.runtime.styles import FIELDS, written

D = Decimal


def test_what_is_said_overrides_and_what_is_not_stays() -> None:
    said = {"style": "vwap", "duration_s": "600", "volume_curve": ["3", "1.5", "2"], "chase_steps": 4}
    event = parse(message(execution=said))
    assert event.execution == ScheduleOverride(
        style=Style.VWAP, duration_s=D(600), volume_curve=(D(3), D("1.5"), D(2)), chase_steps=4
    )
    schedule = Schedule(slices=7).overridden(event.execution)
    assert (schedule.style, schedule.slices, schedule.weights) == (Style.VWAP, 7, (D(3), D("1.5"), D(2)))
    assert parse(message()).execution is None
    assert parse(message(execution={})).execution == ScheduleOverride()
    assert parse(message(execution={"style": "chase", "chase_end": "market"})).execution == ScheduleOverride(
        style=Style.CHASE, chase_end=ChaseEnd.MARKET
    )


@pytest.mark.parametrize(
    ("said", "field", "remedy"),
    [
        ("twap", "execution", 'write {"style": "twap"'),
        ({"style": "iceberg"}, "execution.style", "'twap'"),
        ({"speed": "1"}, "execution.speed", f"the fields are {FIELDS}"),
        ({"duration_s": 600}, "execution.duration_s", "write it as a string"),
        ({"duration_s": "1e3"}, "execution.duration_s", "plain decimal"),
        ({"slices": "4"}, "execution.slices", "without quotes"),
        ({"slices": 1001}, "execution.slices", "0 to 1000"),
        ({"slices": -1}, "execution.slices", "0 to 1000"),
        ({"volume_curve": "3,1"}, "execution.volume_curve", 'write ["3", "1", "2"]'),
        ({"volume_curve": []}, "execution.volume_curve", "at least one weight"),
        ({"volume_curve": ["1"] * 1001}, "execution.volume_curve", "at most 1000"),
        ({"volume_curve": ["1", 2]}, "execution.volume_curve.1", "write it as a string"),
        ({"style": None}, "execution.style", ""),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(said: Any, field: str, remedy: str) -> None:
    with pytest.raises(InvalidTargets) as caught:
        parse(message(execution=said))
    assert (caught.value.field, remedy in caught.value.reason) == (field, True), caught.value


@pytest.mark.parametrize(
    ("said", "ord_type", "field"),
    [
        ({"style": "vwap"}, OrdType.LIMIT, "execution.volume_curve"),
        ({"style": "twap", "duration_s": "0.01"}, OrdType.LIMIT, "execution.duration_s"),
        ({"style": "twap", "duration_s": "10", "slices": 500}, OrdType.LIMIT, "execution.duration_s"),
        ({"style": "chase"}, OrdType.MARKET, "execution.style"),
    ],
)
def test_what_does_not_fit_the_account_is_refused_at_the_door(
    said: dict[str, Any], ord_type: OrdType, field: str
) -> None:
    accounts = {name: AccountSettings(name, "sim", execution=Execution(ord_type)) for name in ACCOUNTS}
    settings = Settings("H", accounts, {name: Instrument(name) for name in INSTRUMENTS})
    doors = Doors(settings, State(), SystemClock(), {}, must_be_signed=False)
    now = datetime.now(UTC)
    fresh = message(as_of=now.isoformat(), expires_at=(now + timedelta(hours=1)).isoformat(), execution=said)
    entry = Entry("targets", "1-0", json.dumps(fresh).encode(), {})
    with pytest.raises(InvalidTargets) as caught:
        doors.read(entry)
    assert caught.value.field == field


def test_a_client_writes_numbers_as_the_contract_wants_them() -> None:
    wanted = {
        "style": Style.VWAP, "duration_s": 90, "chase_step_bps": 2.5, "slices": 4.0,
        "volume_curve": [D("3"), 1, "2"], "chase_end": "leave",
    }  # fmt: skip
    found = written(wanted)
    assert found == {
        "style": "vwap", "duration_s": "90", "chase_step_bps": "2.5", "slices": 4,
        "volume_curve": ["3", "1", "2"], "chase_end": "leave",
    }  # fmt: skip
    assert isinstance(parse(message(execution=json.loads(json.dumps(found)))), TargetsSubmitted)
    for name, value in (
        ("duration_s", object()),
        ("slices", "x"),
        ("volume_curve", 5),
        ("chase_steps", float("inf")),
    ):
        with pytest.raises(InvalidTargets, match=f"execution.{name}: is not a number"):
            written({name: value})


def test_the_options_of_the_command_are_the_fields_of_the_message() -> None:
    assert set(NAMES) == set(FIELDS.split(", "))
    assert len(OPTIONS) == len(NAMES)
    said = dict.fromkeys(NAMES) | {"style": "vwap", "volume_curve": "3, 1,2"}
    assert written_as_said(said) == {"style": "vwap", "volume_curve": [D(3), D(1), D(2)]}
    with pytest.raises(InvalidTargets, match="write 3,1,2"):
        written_as_said({"volume_curve": "three"})


def test_the_json_schema_says_what_may_be_said() -> None:
    execution = json_schema()["$defs"]["ExecutionMessage"]
    assert set(execution["properties"]) == set(FIELDS.split(", "))
    assert execution["additionalProperties"] is False
    assert all("default" not in one and one["description"] for one in execution["properties"].values())
    assert NOW.tzinfo is UTC
