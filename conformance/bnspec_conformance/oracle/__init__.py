"""Batch normalization in exact arithmetic, derived from its definition and sharing no code with `bnspec`.

Every input is taken at its exact value, sums are sums of integers, and each result is rounded once, to a
grid that is at least 2**-192 times finer than the result itself; `Exact` states the guarantee. Renormalization takes
square roots into the state, which are rounded too, 2**-384 times finer than they are; `trajectory` says what follows.
"""

from ._batchnorm import Moments, batch_normalization, moments
from ._derivatives import Gradients, gradients
from ._exact import GUARD_BITS, Exact
from ._second import hessian_vector_product
from ._trajectory import Entry, Group, State, Step, trajectory

__all__ = [
    "GUARD_BITS",
    "Entry",
    "Exact",
    "Gradients",
    "Group",
    "Moments",
    "State",
    "Step",
    "batch_normalization",
    "gradients",
    "hessian_vector_product",
    "moments",
    "trajectory",
]
