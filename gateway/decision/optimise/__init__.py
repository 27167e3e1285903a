"""The optimiser: tracking error, cost and tax by lot, minimised under everything an account forbids.

`solve` finds weights, `whole_lots` makes them whole lots that the cash pays for, `explain` says why, name by
name, and `residuals` checks a solution against the conditions of optimality. Pure numpy, no solver library.
"""

from gateway.decision.optimise.continuous import Options, solve
from gateway.decision.optimise.explain import LotSale, NameReason, Residuals, explain, residuals
from gateway.decision.optimise.problem import Covariance, Group, Problem, TaxLots
from gateway.decision.optimise.solution import Parts, Prices, Solution, Status
from gateway.decision.optimise.whole import LotOptions, LotSolution, whole_lots

__all__ = [
    "Covariance",
    "Group",
    "LotOptions",
    "LotSale",
    "LotSolution",
    "NameReason",
    "Options",
    "Parts",
    "Prices",
    "Problem",
    "Residuals",
    "Solution",
    "Status",
    "TaxLots",
    "explain",
    "residuals",
    "solve",
    "whole_lots",
]
