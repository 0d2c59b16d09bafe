"""Batch normalization in exact arithmetic, derived from its definition and sharing no code with `bnspec`.

Every input is taken at its exact value, sums are sums of integers, and each result is rounded once, to a
grid that is at least 2**-192 times finer than the result itself; `Exact` states the guarantee. Renormalization takes
square roots into the state, which are rounded too, 2**-384 times finer than they are; `trajectory` says what follows.

Bijectors, densities and coupling take functions that are not rational. They are computed in mpmath with more and more
bits until the result no longer moves: the error is that of `Exact`, but nothing is proven of the functions of mpmath.
"""

from ._autoregressive import AutoregressiveFlow, autoregressive_masks, places
from ._batch_bijector import BatchBijector
from ._batchnorm import Moments, batch_normalization, moments
from ._bijectors import (
    AbsoluteValue,
    Bijector,
    Exp,
    Identity,
    Log,
    Reciprocal,
    Scale,
    ScaleMatvecDiag,
    Shift,
    Sigmoid,
    Softplus,
    Tanh,
)
from ._coupling import AffineCoupling, Conditioned, dense, dense_conditioner, halves, masked_count, squeezed
from ._densities import MultivariateNormalDiag, Normal, transformed_log_prob
from ._derivatives import Gradients, gradients
from ._exact import GUARD_BITS, Exact
from ._normals import polar_normals
from ._second import hessian_vector_product
from ._spline_parameters import SplineParameters, spline_parameters
from ._splines import RationalQuadraticSpline
from ._trajectory import Entry, Group, State, Step, trajectory

__all__ = [
    "GUARD_BITS",
    "AbsoluteValue",
    "AffineCoupling",
    "AutoregressiveFlow",
    "BatchBijector",
    "Bijector",
    "Conditioned",
    "Entry",
    "Exact",
    "Exp",
    "Gradients",
    "Group",
    "Identity",
    "Log",
    "Moments",
    "MultivariateNormalDiag",
    "Normal",
    "RationalQuadraticSpline",
    "Reciprocal",
    "Scale",
    "ScaleMatvecDiag",
    "Shift",
    "Sigmoid",
    "Softplus",
    "SplineParameters",
    "State",
    "Step",
    "Tanh",
    "autoregressive_masks",
    "batch_normalization",
    "dense",
    "dense_conditioner",
    "gradients",
    "halves",
    "hessian_vector_product",
    "masked_count",
    "moments",
    "places",
    "polar_normals",
    "spline_parameters",
    "squeezed",
    "trajectory",
    "transformed_log_prob",
]
