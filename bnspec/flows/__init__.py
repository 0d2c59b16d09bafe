"""Flows: densities that are trained, with batch normalization between their blocks."""

from bnspec.flows._autoregressive import masked_autoregressive_flow
from bnspec.flows._evaluation import LogLikelihood, estimate_averages, log_likelihood
from bnspec.flows._preprocessing import Levels, dequantized
from bnspec.flows._real_nvp import real_nvp

__all__ = [
    "Levels",
    "LogLikelihood",
    "dequantized",
    "estimate_averages",
    "log_likelihood",
    "masked_autoregressive_flow",
    "real_nvp",
]
