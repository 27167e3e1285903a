"""A session's numbers live on, whatever the day: quickfix itself would begin at 1 on another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import quickfix as fix

from adapters.fix.initiator import initiator
from adapters.fix.settings import FixSession

CALLBACKS = ("onCreate", "onLogon", "onLogout", "toAdmin", "fromAdmin", "toApp", "fromApp")
Quiet = type("Quiet", (fix.Application,), dict.fromkeys(CALLBACKS, lambda *_: None))


def numbers(folder: Path, begun: datetime) -> tuple[int, int]:
    """Return the next numbers of a session whose store was begun at a time and stood at 294 and 300."""
    store = folder / "quickfix"
    store.mkdir(parents=True)
    name = f"FIX.4.4-GW-{folder.name}"
    (store / f"{name}.seqnums").write_text(f"{294:020d} : {300:020d}")
    (store / f"{name}.session").write_text(f"{begun:%Y%m%d-%H:%M:%S}")
    for kind in ("body", "header"):
        (store / f"{name}.{kind}").touch()
    config = FixSession("sim", "FIX.4.4", "GW", folder.name, "127.0.0.1", 1, 30, folder)
    application = Quiet()
    parts = initiator(config, application)
    session = fix.Session.lookupSession(fix.SessionID("FIX.4.4", "GW", folder.name))
    found = session.getExpectedSenderNum(), session.getExpectedTargetNum()
    del session, parts
    return found


@pytest.mark.parametrize("days", [0, 1, 5, 6, 7, 31, 400])
def test_a_restart_on_a_later_day_goes_on_with_its_numbers(tmp_path: Path, days: int) -> None:
    begun = datetime.now(UTC) - timedelta(days=days)
    assert numbers(tmp_path / f"DAY{days}", begun) == (294, 300)
