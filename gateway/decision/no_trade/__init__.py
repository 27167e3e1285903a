"""No-trade zones: how far a weight may run before trading pays, one documented function a problem.

`amortised` is the rule of the default policy; the others are exact solutions of published problems.

Rules of this room:
1. Parameters in, edges and value out, as frozen dataclasses; keywords are the names of the literature.
2. Weights and costs are fractions, rates are per year; a `gamma` is a relative risk aversion.
3. Bad parameters raise ValueError with one sentence: which, and what they must be.
4. Every exact solution carries its small-cost law, and says how far that may be trusted.
"""

from gateway.decision.no_trade.consumption import ConsumptionBand, consumption_band, consumption_cube_root
from gateway.decision.no_trade.fixed import FixedBand, fixed_band, fixed_half_width
from gateway.decision.no_trade.kinked import Factors
from gateway.decision.no_trade.many import Amortised, amortised
from gateway.decision.no_trade.partial import PartialTrade, partial_trade
from gateway.decision.no_trade.power import PowerBand, power_band, power_cube_root
from gateway.decision.no_trade.region import RegionTrade, region_trade
from gateway.decision.no_trade.tracking import Rule, tracking_band, tracking_calendar, tracking_threshold

__all__ = [
    "Amortised", "ConsumptionBand", "Factors", "FixedBand", "PartialTrade", "PowerBand", "RegionTrade",
    "Rule", "amortised", "consumption_band", "consumption_cube_root", "fixed_band", "fixed_half_width",
    "partial_trade", "power_band", "power_cube_root", "region_trade", "tracking_band", "tracking_calendar",
    "tracking_threshold",
]  # fmt: skip
