"""Fixtures of the FIX session's tests."""

from __future__ import annotations

import pytest
from fix_desk import Desk


@pytest.fixture(params=["FIX.4.2", "FIX.4.4"])
def desk(request: pytest.FixtureRequest) -> Desk:
    """A session that is logged on."""
    return Desk(request.param).log_on()
