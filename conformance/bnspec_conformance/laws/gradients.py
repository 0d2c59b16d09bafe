"""Gradients: with cotangents that are not uniform, through the statistics of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bnspec_conformance import expectation
from bnspec_conformance.cases import GRADIENTS, Case
from bnspec_conformance.laws._common import require_gradients
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks


@law("gradients", GRADIENTS, requires=("gradients",))
def vector_jacobian_product(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradients are exact in training, through mean and variance, and in evaluation, where these are given.

    The forward pass looks right, and the network trains slowly or not at all, because the statistics are taken for
    constants or counted wrongly.
    """
    for training in (True, False):
        layer = case.build(adapter)
        found = layer.gradients(case.training[-1].copy(), case.cotangent.copy(), training)  # type: ignore[attr-defined]
        require_gradients(found, adapter, case, training, grade, checks)


@law("gradients", GRADIENTS, requires=("hessian_vector_product",))
def hessian_vector_product(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The second derivative is exact: a mean that is cut out of the variance is invisible at first order.

    Gradient penalties, Hessian methods and meta-learning go wrong, while ordinary training shows nothing.
    """
    expected = expectation.hessian_vector_product(case, grade)
    given = (case.training[-1].copy(), case.cotangent.copy(), case.tangent.copy())
    seen = case.build(adapter).hessian_vector_product(*given)  # type: ignore[attr-defined]
    checks.close("the Hessian-vector product", seen, *expected, case.dtype)


@law("gradients", GRADIENTS, requires=("autodiff",))
def automatic_differentiation(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A framework's own differentiation of the forward pass gives the same gradients.

    Whoever differentiates the forward pass gets another gradient than the layer's own.
    """
    for training in (True, False):
        layer = case.build(adapter)
        found = layer.autodiff(case.training[-1].copy(), case.cotangent.copy(), training)  # type: ignore[attr-defined]
        require_gradients(found, adapter, case, training, grade, checks, chained=True)
