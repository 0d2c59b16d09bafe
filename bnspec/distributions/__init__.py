"""Distributions: normal ones, and what bijectors make of them."""

from bnspec.distributions._base import Distribution
from bnspec.distributions._independent import Independent
from bnspec.distributions._multivariate_normal import MultivariateNormalDiag
from bnspec.distributions._normal import Normal
from bnspec.distributions._sample import Sample
from bnspec.distributions._transformed import TransformedDistribution

__all__ = ["Distribution", "Independent", "MultivariateNormalDiag", "Normal", "Sample", "TransformedDistribution"]
