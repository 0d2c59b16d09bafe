"""Bounds of Jacobians by automatic differentiation: derived, kept to by every framework, and not wide."""

import mpmath
import numpy as np
import pytest

from bnspec_conformance import bounds
from bnspec_conformance.bounds import DEFINITION, FORMATS, Arithmetic, Uncertain
from bnspec_conformance.flows import CATALOGUE, DefinitionFlow
from bnspec_conformance.flows._slopes import jacobian
from bnspec_conformance.flows.bijectors import DIFFERENTIATED

from .bijector_helpers import differentiable

WHERE = {
    ("Shift", "forward"): (lambda x: x + 2, {"shift": 2.0}),
    ("Scale", "forward"): (lambda x: -3 * x, {"scale": -3.0}),
    ("Scale", "inverse"): (lambda x: x / -3, {"scale": -3.0}),
    ("Exp", "forward"): (mpmath.exp, {}),
    ("Exp", "inverse"): (mpmath.log, {}),
    ("Log", "forward"): (mpmath.log, {}),
    ("Log", "inverse"): (mpmath.exp, {}),
    ("Sigmoid", "forward"): (lambda x: -1 + 3 / (1 + mpmath.exp(-x)), {"low": -1.0, "high": 2.0}),
    ("Sigmoid", "inverse"): (lambda y: mpmath.log(y / (6 - y)), {"low": 0.0, "high": 6.0}),
    ("Softplus", "forward"): (lambda x: mpmath.log1p(mpmath.exp(2 * x)) / 2, {"hinge_softness": 0.5, "low": 1.0}),
    ("Tanh", "forward"): (mpmath.tanh, {}),
}


@pytest.mark.parametrize(("name", "direction"), WHERE)
def test_derivatives_of_maps_are_those_of_mpmath(name, direction):
    function, parameters = WHERE[name, direction]
    x = np.asarray([0.25, 0.5, 1.5, 3.0, 5.5])
    parameters = {key: np.asarray(value) for key, value in parameters.items()}
    found = bounds.elementwise_slope(name, direction, Uncertain(x, 0.0), Arithmetic(FORMATS["float64"]), **parameters)
    expected = np.asarray([float(mpmath.diff(function, mpmath.mpf(each))) for each in x])
    assert (np.abs(found.value - expected) <= found.error).all()
    assert (np.abs(found.value) <= found.size).all()


# A goal is set for these, as docs/proof.md says.
NOT_FOLLOWED = (
    *("spline", "spline far out", "spline on knots", "batch of splines", "inverse of a spline"),
    *("inverse of a spline far out", "real nvp by splines", "image flow"),
    *("masked autoregressive flow", "inverse autoregressive flow"),
)
FOLLOWED = [entry for entry in DIFFERENTIATED if entry.id not in NOT_FOLLOWED]


@pytest.mark.parametrize("entry", FOLLOWED, ids=lambda entry: entry.id)
def test_every_framework_keeps_to_the_bound_of_each_element(backend, entry):
    differentiable(backend)
    found = jacobian(entry, DEFINITION)
    seen = DefinitionFlow(entry, backend).jacobian(entry.x, 1).astype(np.float64)
    assert (np.abs(seen - found.value) <= found.error).all()
    # A wrong path is seen, however small the others are.
    rows = np.abs(found.value).max(axis=-1)
    assert (found.error.max(axis=-1) < 1e-3 * rows).mean() > 0.9


@pytest.mark.parametrize(
    "name", ["reciprocal", "permute rows", "inverse of batch norm", "real nvp by a network, relu", *NOT_FOLLOWED]
)
def test_what_has_no_formula_is_said(name):
    with pytest.raises(NotImplementedError):
        jacobian(CATALOGUE[name], DEFINITION)


@pytest.mark.parametrize("name", ["Softplus", "Tanh"])
def test_inverses_without_a_formula_are_said(name):
    with pytest.raises(NotImplementedError, match="inverse"):
        bounds.elementwise_slope(name, "inverse", Uncertain(np.ones(1), 0.0), Arithmetic(FORMATS["float64"]))
