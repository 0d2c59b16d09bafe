"""Regularizers, constraints and losses, against numbers that were worked out by hand."""

import numpy as np
import pytest

from bnspec.layers import L1, L1L2, L2, BatchNormalization, Constant, MaxNorm, MinMaxNorm, NonNeg, Positive, UnitNorm
from bnspec.layers._constraints import CONSTRAINTS, FUZZ
from bnspec.layers._regularizers import REGULARIZERS
from bnspec_conformance.definition import receive

from .layer_helpers import assert_rounded

V = np.asarray([3.0, -4.0, 0.0], np.float32)  # the norm is 5, the sum of the sizes 7, of the squares 25


def made(backend, **arguments):
    layer = BatchNormalization(**arguments)
    layer.build((None, 3), like=backend.asarray(V))
    layer.gamma.assign(V)
    return layer


@pytest.mark.parametrize(
    ("regularizer", "penalty"),
    [
        (L1(0.5), 3.5),
        (L2(0.5), 12.5),
        (L1L2(0.25, 0.125), 1.75 + 3.125),
        (L1L2(), 0.0),
        (L1(0.0), 0.0),
    ],
    ids=str,
)
def test_penalties(backend, regularizer, penalty):
    found = receive(backend, regularizer(backend.asarray(V)))
    assert found == penalty  # powers of two: nothing is rounded
    assert found.shape == ()
    assert found.dtype == "float32"


def test_penalties_of_a_parameter_of_several_axes(backend):
    assert receive(backend, L1(0.5)(backend.asarray(V[None, :, None]))) == 3.5


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (NonNeg(), [3, 0, 0]),
        (Positive(0.5), [3.5, 0.5, 0.5]),
        (MaxNorm(2.5), [1.5, -2, 0]),
        (MaxNorm(6.0), [3, -4, 0]),
        (UnitNorm(), [0.6, -0.8, 0]),
        (MinMaxNorm(0.0, 2.5), [1.5, -2, 0]),
        (MinMaxNorm(10.0, 20.0), [6, -8, 0]),
        (MinMaxNorm(10.0, 20.0, rate=0.5), [4.5, -6, 0]),
        (MinMaxNorm(1.0, 20.0), [3, -4, 0]),
    ],
    ids=str,
)
def test_projections(backend, constraint, expected):
    found = receive(backend, constraint(backend.asarray(V)))
    # Keras divides by the norm and 1e-7, which a float32 of 5 does not see; a quotient and a product are rounded.
    assert_rounded(found, expected, 2)
    assert found.dtype == "float32"


def test_the_norm_along_axes(backend):
    value = np.asarray([[3.0, 0.0], [4.0, 2.0]], np.float32)
    found = receive(backend, UnitNorm(axis=[0])(backend.asarray(value)))
    assert_rounded(found, [[0.6, 0.0], [0.8, 1.0]], 3)  # and 1e-7 is a rounding of 2
    both = receive(backend, MaxNorm(1.0, axis=(0, 1))(backend.asarray(value)))
    assert_rounded(both, value / np.sqrt(29.0), 4)


def test_a_norm_of_0_stays_0():
    zeros = np.zeros(3)
    for constraint in (UnitNorm(), MaxNorm(), MinMaxNorm(1.0, 2.0)):
        assert not constraint(zeros).any()
    assert_rounded(UnitNorm()(np.asarray([FUZZ, 0.0])), [0.5, 0.0], 1)


def test_constraints_follow_the_optimizer(backend):
    layer = made(backend, gamma_constraint="non_neg", beta_constraint=lambda value: value + 1)
    before = layer.moving_mean.value
    layer.apply_constraints()
    np.testing.assert_array_equal(layer.gamma.numpy(), [3, 0, 0])
    np.testing.assert_array_equal(layer.beta.numpy(), [1, 1, 1])
    assert layer.moving_mean.value is before
    gamma, beta = layer.constrained((backend.asarray(-V), layer.beta.value))
    np.testing.assert_array_equal(receive(backend, gamma), [0, 4, 0])
    np.testing.assert_array_equal(receive(backend, beta), [2, 2, 2])
    np.testing.assert_array_equal(layer.beta.numpy(), [1, 1, 1])
    layer.trainable = False
    layer.apply_constraints()
    np.testing.assert_array_equal(layer.beta.numpy(), [1, 1, 1])


def test_a_constraint_that_changes_the_shape_changes_nothing(backend):
    layer = made(backend, gamma_constraint="non_neg", beta_constraint=lambda value: value[:2])
    with pytest.raises(ValueError, match=r"beta must have shape \(3,\) and dtype float32\. Got shape=\(2,\)"):
        layer.apply_constraints()
    np.testing.assert_array_equal(layer.gamma.numpy(), V)


def test_a_parameter_without_a_constraint_is_left_alone(backend):
    layer = made(backend)
    given = [variable.value for variable in layer.trainable_variables]
    assert all(new is old for new, old in zip(layer.constrained(given), given, strict=True))


def test_losses_are_those_of_now(backend):
    layer = made(backend, gamma_regularizer=L1(0.5), beta_regularizer="l2", beta_initializer=Constant(10.0))
    assert [float(receive(backend, loss)) for loss in layer.losses] == [3.5, 3.0]
    layer.gamma.assign(2 * V)
    assert float(receive(backend, layer.losses[0])) == 7.0
    values = (backend.asarray(4 * V), layer.beta.value)
    assert [float(receive(backend, loss)) for loss in layer.regularization_losses(values)] == [14.0, 3.0]
    layer.trainable = False
    assert layer.losses == []


def test_losses_that_were_added(backend):
    layer = made(backend, gamma_regularizer=L1(0.5))
    x, one = backend.asarray(V), backend.asarray(np.asarray(1.5, np.float32))
    layer.add_loss(one, inputs=x)
    layer.add_loss([lambda: layer.beta.value[0], one])
    layer.beta.assign(V)
    shown = [float(receive(backend, loss)) for loss in layer.losses]
    assert shown == [3.5, 1.5, 3.0, 1.5]
    assert layer.get_losses_for(x) == [one]
    assert layer.get_losses_for([backend.asarray(V)]) == []
    assert [float(receive(backend, loss)) for loss in layer.get_losses_for(None)] == [3.5, 3.0, 1.5]
    layer.clear_losses()
    assert len(layer.losses) == 1


def test_before_the_build_there_are_no_losses():
    assert BatchNormalization(gamma_regularizer="l1").losses == []


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda layer: layer.add_loss(3.0), TypeError, r"a loss must be an array of shape \(\).*Got loss=3\.0\."),
        (lambda layer: layer.add_loss([V[0], V]), ValueError, r"a loss must have the shape \(\)\. Got shape=\(3,\)\."),
        (lambda layer: layer.add_loss(np.asarray(1)), TypeError, r"loss must be real floating: .*Got dtype='int64'"),
        (
            lambda layer: layer.regularization_losses([V]),
            ValueError,
            r"trainable must be 2 arrays: gamma, beta\. Got co",
        ),
        (lambda layer: layer.constrained([]), ValueError, r"trainable must be 2 arrays: gamma, beta\. Got count=0\."),
        (lambda layer: L1(-1.0), ValueError, r"l1 must not be negative\. Got l1=-1\.0\."),
        (lambda layer: L2(float("nan")), ValueError, r"l2 must not be negative\. Got l2=nan\."),
        (lambda layer: L1L2("a"), TypeError, r"l1 must be a real number\. Got l1='a'\."),
        (lambda layer: MaxNorm(axis=0.5), TypeError, r"axis must be an integer or a sequence of them\. Got axis=0\.5"),
        (lambda layer: MaxNorm(None), TypeError, r"max_value must be a real number\. Got max_value=None\."),
    ],
)
def test_what_is_refused(call, error, text):
    layer = BatchNormalization()
    layer.build((None, 3), like=V)
    with pytest.raises(error, match=text):
        call(layer)
    assert layer.losses == []


def test_a_function_that_returns_no_loss():
    layer = BatchNormalization()
    layer.add_loss(lambda: 3.0)
    with pytest.raises(TypeError, match=r"a loss must be an array of shape \(\)"):
        _ = layer.losses


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (REGULARIZERS, {"l1", "l2", "l1_l2"}),
        (CONSTRAINTS, {"non_neg", "positive", "max_norm", "unit_norm", "min_max_norm"}),
    ],
    ids=["regularizers", "constraints"],
)
def test_every_name_makes_what_its_configuration_makes(table, names):
    assert {name for name in table.names if name.islower()} == names
    for name in names:
        made_by_name = table.get("argument", name)
        assert table.get("argument", table.serialize("argument", made_by_name)) == made_by_name
    assert REGULARIZERS.get("argument", "l1_l2") == L1L2(0.01, 0.01)
