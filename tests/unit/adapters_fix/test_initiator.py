"""A session's numbers live on, whatever the day: quickfix itself would begin at 1 on another one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import quickfix as fix

from adapters.fix import initiator as place
from adapters.fix.initiator import initiator, keep_numbers
from adapters.fix.settings import FixSession

CALLBACKS = ("onCreate", "onLogon", "onLogout", "toAdmin", "fromAdmin", "toApp", "fromApp")
Quiet = type("Quiet", (fix.Application,), dict.fromkeys(CALLBACKS, lambda *_: None))


def numbers(folder: Path, begun: datetime, *, is_kept: bool) -> tuple[int, int]:
    """Return the next numbers of a session whose store was begun at a time and stood at 294 and 300."""
    store = folder / "quickfix"
    store.mkdir(parents=True)
    name = f"FIX.4.4-GW-{folder.name}"
    (store / f"{name}.seqnums").write_text(f"{294:020d} : {300:020d}")
    (store / f"{name}.session").write_text(f"{begun:%Y%m%d-%H:%M:%S}")
    for kind in ("body", "header"):
        (store / f"{name}.{kind}").touch()
    config = FixSession("sim", "FIX.4.4", "GW", folder.name, "127.0.0.1", 1, 30, folder)
    if is_kept:
        keep_numbers(config, lambda: datetime.now(UTC))
    application = Quiet()
    parts = initiator(config, application)
    session = fix.Session.lookupSession(fix.SessionID("FIX.4.4", "GW", folder.name))
    found = session.getExpectedSenderNum(), session.getExpectedTargetNum()
    del session, parts
    return found


@pytest.mark.parametrize("days", [0, 1, 5, 6, 7, 31, 400])
def test_a_restart_on_a_later_day_goes_on_with_its_numbers(tmp_path: Path, days: int) -> None:
    begun = datetime.now(UTC) - timedelta(days=days)
    assert numbers(tmp_path / f"KEPT{days}", begun, is_kept=True) == (294, 300)
    if days:  # what happens otherwise: when quickfix no longer does so, this may go
        assert numbers(tmp_path / f"LEFT{days}", begun, is_kept=False) == (1, 1)


def test_nothing_is_dated_in_the_last_moments_of_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(place.time, "sleep", waited.append)
    moments: Iterator[datetime] = iter(
        datetime(2026, 11, 28, 23, 59, 58, tzinfo=UTC) + timedelta(seconds=one) for one in range(3)
    )
    config = FixSession("sim", "FIX.4.4", "GW", "SIM", "127.0.0.1", 1, 30, tmp_path)
    (tmp_path / "quickfix").mkdir()
    dated = tmp_path / "quickfix" / "FIX.4.4-GW-SIM.session"
    dated.write_text("20261101-00:00:00")
    keep_numbers(config, lambda: next(moments))
    assert dated.read_text() == "20261129-00:00:00"
    assert len(waited) == 2
    assert [one.name for one in (tmp_path / "quickfix").iterdir()] == [dated.name]
