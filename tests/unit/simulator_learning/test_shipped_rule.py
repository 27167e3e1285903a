"""The example rule: what its page says is what its card says, and a gateway refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.runtime.learned import load

FOLDER = Path(__file__).parents[3] / "config" / "policies"


def test_the_example_is_refused_as_its_page_says() -> None:
    with pytest.raises(ConfigError, match="does not beat it"):
        load(FOLDER / "sp500.npz")
    card = load(FOLDER / "sp500.npz", override=True).card
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    for one in card.scores:
        assert f"| {one.cost * 1e4:.2f} |" in page, one.name
    assert f"{card.difference * 1e4:+.2f} bp a year" in page
    assert f"between {card.low * 1e4:+.2f} and {card.high * 1e4:+.2f}" in page
