"""The sections that say what a trade costs, what risk is and when a loss is worth taking.

Rules of this room: those of `sections.py`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.domain.settings import Costs, Harvest, Risk, Tier

SAID_OF_A_LIST = frozenset({"source", "read_on"})


@cache
def tariffs() -> Mapping[str, Mapping[str, Any]]:
    """Return the published price lists by name, as `config/tariffs.toml` has them."""
    with (Path(__file__).parents[1] / "config" / "tariffs.toml").open("rb") as file:
        return tomllib.load(file, parse_float=Decimal)


class Section(BaseModel):
    """Stand under every section: unknown keys are errors, inputs never appear in messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TierSection(Section):
    """One step of a commission by the month's shares; see `gateway.domain.settings.Tier`."""

    above: Decimal = Field(ge=0)
    per_share: Decimal = Field(ge=0)


class CostsSection(Section):
    """Commission schedule and tax rates; see `gateway.domain.settings.Costs`.

    `schedule` names a published price list of `config/tariffs.toml`; keys written beside it win.
    """

    schedule: str = ""
    commission_per_share: Decimal = Field(default=Costs().commission_per_share, ge=0)
    commission_minimum: Decimal = Field(default=Costs().commission_minimum, ge=0)
    commission_bps: Decimal = Field(default=Costs().commission_bps, ge=0)
    commission_per_order: Decimal = Field(default=Costs().commission_per_order, ge=0)
    commission_maximum_bps: Decimal = Field(default=Costs().commission_maximum_bps, ge=0)
    tiers: tuple[TierSection, ...] = ()
    monthly_shares: Decimal = Field(default=Costs().monthly_shares, ge=0)
    clearing_per_share: Decimal = Field(default=Costs().clearing_per_share, ge=0)
    sell_fee_bps: Decimal = Field(default=Costs().sell_fee_bps, ge=0)
    sell_fee_per_share: Decimal = Field(default=Costs().sell_fee_per_share, ge=0)
    sell_fee_maximum: Decimal = Field(default=Costs().sell_fee_maximum, ge=0)
    fx_bps: Decimal = Field(default=Costs().fx_bps, ge=0, lt=10_000)
    fx_minimum: Decimal = Field(default=Costs().fx_minimum, ge=0)
    impact: Decimal = Field(default=Costs().impact, ge=0)
    short_term_rate: Decimal = Field(default=Costs().short_term_rate, ge=0, le=1)
    long_term_rate: Decimal = Field(default=Costs().long_term_rate, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        """Fill in what the named schedule says and the section does not."""
        name = given.get("schedule", "") if isinstance(given, dict) else ""
        if not name:
            return given
        if name not in tariffs():
            raise ValueError(f"schedule is not a known price list; write one of {', '.join(tariffs())}")
        published = {key: value for key, value in tariffs()[name].items() if key not in SAID_OF_A_LIST}
        return {**published, **given}

    @model_validator(mode="after")
    def _climbs(self) -> CostsSection:
        steps = [tier.above for tier in self.tiers]
        if steps and (steps[0] != 0 or steps != sorted(set(steps))):
            raise ValueError("tiers must begin at above = 0 and climb; put them in order")
        return self

    def costs(self) -> Costs:
        """Return this section as the pure rooms take it."""
        words = self.model_dump(exclude={"schedule", "tiers"})
        return Costs(**words, tiers=tuple(Tier(one.above, one.per_share) for one in self.tiers))


class HarvestSection(Section):
    """When a loss is worth taking; see `gateway.domain.settings.Harvest`."""

    later_rate: Decimal = Field(default=Harvest().later_rate, ge=0, le=1)
    years: Decimal = Field(default=Harvest().years, ge=0, le=100)
    discount_rate: Decimal = Field(default=Harvest().discount_rate, ge=0, le=1)
    ordinary_limit: Decimal = Field(default=Harvest().ordinary_limit, ge=0)
    ordinary_rate: Decimal = Field(default=Harvest().ordinary_rate, ge=0, le=1)
    min_benefit: Decimal = Field(default=Harvest().min_benefit, ge=0)
    min_correlation: Decimal = Field(default=Harvest().min_correlation, ge=-1, le=1)
    carried_loss: Decimal = Field(default=Harvest().carried_loss, ge=0)
    watch: bool = Harvest().watch


class RiskSection(Section):
    """A CSV of daily closes, relative to the configuration, and what is made of it; see `Risk`."""

    history: str = ""
    window_days: int = Field(default=Risk().window_days, ge=20, le=10_000)
    max_age_days: int = Field(default=Risk().max_age_days, ge=1, le=365)
    min_observations: int = Field(default=Risk().min_observations, ge=10, le=10_000)
    factors: int = Field(default=Risk().factors, ge=0, le=200)

    @model_validator(mode="after")
    def _fits(self) -> RiskSection:
        if self.min_observations > self.window_days:
            raise ValueError("min_observations is above window_days; lower it, or take a longer window")
        return self
