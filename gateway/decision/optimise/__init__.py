"""The optimiser."""
from gateway.decision.optimise.problem import Covariance, Group, Problem, TaxLots
