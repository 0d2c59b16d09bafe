"""Rational quadratic splines: at their knots, outside of them, their gradients, and what is refused."""

import numpy as np
import pytest

import bnspec
from bnspec.bijectors import Chain, Invert, RationalQuadraticSpline, RealNVP
from bnspec.variables import Variable
from bnspec_conformance.bounds import FORMATS, accumulated, function_gradient
from bnspec_conformance.definition import receive

from .bijector_helpers import differentiable, gradient, near, of, same

WIDTHS, HEIGHTS, SLOPES = [0.5, 1.0, 2.5], [1.5, 2.0, 0.5], [0.25, 3.0]
KNOTS_X, KNOTS_Y = [-1.5, -1.0, 0.0, 2.5], [-1.5, 0.0, 2.0, 2.5]
FAR = [-3e38, -1e20, -1.75, 2.75, 1e20, 3e38]


def spline(**more):
    return RationalQuadraticSpline(WIDTHS, HEIGHTS, SLOPES, range_min=-1.5, **more)


def test_knots_go_to_knots_with_their_slopes(backend):
    y, log_det = spline().forward_and_log_det(of(backend, KNOTS_X))
    same(backend, y, KNOTS_Y)
    same(backend, log_det, np.log(np.asarray([1.0, *SLOPES, 1.0], np.float32)))
    x, log_det = spline().inverse_and_log_det(of(backend, KNOTS_Y))
    same(backend, x, KNOTS_X)
    same(backend, log_det, -np.log(np.asarray([1.0, *SLOPES, 1.0], np.float32)))


def test_outside_it_is_the_identity(backend):
    for direction in ("forward", "inverse"):
        found, log_det = getattr(spline(), f"{direction}_and_log_det")(of(backend, [*FAR, np.inf, -np.inf]))
        same(backend, found, [*FAR, np.inf, -np.inf])
        same(backend, log_det, np.zeros(8))
        same(backend, getattr(spline(), direction)(of(backend, [np.nan])), [np.nan])


def test_gradients_are_finite_everywhere(backend):
    """Outside they are 1; at a knot they are its slope."""
    x = of(backend, [*FAR, *KNOTS_X])
    expected = [*[1.0] * len(FAR), 1.0, *SLOPES, 1.0]
    same(backend, gradient(backend, spline().forward, x), expected)
    y = of(backend, [*FAR, *KNOTS_Y])
    found = receive(backend, gradient(backend, spline().inverse, y))
    errors = np.abs(found * np.asarray(expected) - 1.0)
    assert (errors <= accumulated(16.0, FORMATS["float32"].roundoff)).all()
    for method in (spline().forward_log_det_jacobian, spline().inverse_log_det_jacobian):
        slopes = receive(backend, gradient(backend, method, of(backend, [*FAR, *KNOTS_X, *KNOTS_Y])))
        assert np.isfinite(slopes).all()
        assert (slopes[: len(FAR)] == 0.0).all()


@pytest.mark.parametrize("slope", [1e19, 1e20, 1e30, 1e37])
def test_steep_knots_have_an_inverse(backend, slope):
    """Up to a share of 1 / slope, all of the width is on one side: right of 0, x = y / ((1 - y) slope)."""
    steep, y = RationalQuadraticSpline([1.0, 1.0], [1.0, 1.0], slope), [-0.9, -0.45, 0.0, 0.45, 0.9]
    found = receive(backend, steep.inverse(of(backend, y)))
    height = np.asarray(y, np.float32).astype(np.float64)
    expected = np.maximum(height, 0.0) / ((1.0 - height) * slope)
    rounding = accumulated(16.0, FORMATS["float32"].roundoff)
    assert (np.abs(found - expected) <= rounding * np.where(height > 0.0, expected, 1.0)).all()
    near(backend, steep.inverse_log_det_jacobian(of(backend, [0.0])), [-np.log(np.float64(np.float32(slope)))])
    for method in (steep.inverse, steep.inverse_log_det_jacobian):
        if "autodiff" not in backend.gaps():
            assert np.isfinite(receive(backend, gradient(backend, method, of(backend, y)))).all()


def test_what_lies_outside_gives_no_gradient_to_the_knots(backend):
    differentiable(backend)
    xp, x = backend.namespace(), of(backend, FAR)

    def total(arrays, direction):
        value, log_det = getattr(RationalQuadraticSpline(*arrays, range_min=-1.5), f"{direction}_and_log_det")(x)
        return xp.sum(xp.where(xp.abs(value) < 4.0, value, xp.zeros_like(value))) + xp.sum(log_det)

    arrays = tuple(of(backend, value) for value in (WIDTHS, HEIGHTS, SLOPES))
    for direction in ("forward", "inverse"):
        _, found = backend.value_and_grad(lambda given, to=direction: total(given, to))(arrays)
        for each, given in zip(found, arrays, strict=True):
            same(backend, each, np.zeros(receive(backend, given).shape))


@pytest.mark.parametrize("direction", ["forward", "inverse"])
def test_gradients_of_the_knots_follow_differences(backend, direction):
    if "autodiff" in backend.gaps() or "float64" in backend.gaps():
        pytest.skip("has no automatic differentiation in float64")
    xp, x = backend.namespace(), of(backend, [-1.4375, -0.625, -0.5, 0.25, 0.375, 1.75, 2.375, 3.0], "float64")
    weights = of(backend, [0.5, -1.25, 2.0, 0.75, -0.5, 1.5, -2.25, 1.0], "float64")

    def loss(arrays):
        made = RationalQuadraticSpline(*arrays[:3], range_min=arrays[3])
        value, log_det = getattr(made, f"{direction}_and_log_det")(x)
        return xp.sum(weights * value) + xp.sum(weights * weights * log_det)

    arrays = tuple(of(backend, value, "float64") for value in (WIDTHS, HEIGHTS, SLOPES, -1.5))
    _, gradients = backend.value_and_grad(loss)(arrays)

    def slope(number, at, step):
        """Differentiate by central differences."""
        ends = []
        for sign in (1, -1):
            moved = receive(backend, arrays[number]).copy().reshape(-1)
            moved[at] += sign * step
            changed = backend.asarray(moved.reshape(receive(backend, arrays[number]).shape))
            ends.append(float(receive(backend, loss((*arrays[:number], changed, *arrays[number + 1 :])))))
        return (ends[0] - ends[1]) / (2 * step), max(map(abs, ends)) / step

    for number, found in enumerate(gradients):
        seen = receive(backend, found).reshape(-1)
        for at in range(len(seen)):
            # A change of one size moves the end of one axis alone: no number here lies so near to it.
            (near, size), (far, _) = slope(number, at, 2.0**-16), slope(number, at, 2.0**-15)
            noise = accumulated(2.0**12, FORMATS["float64"].roundoff) * size
            assert abs(near - seen[at]) <= function_gradient(abs(near - far) + noise, abs(seen).max())


def test_shapes_broadcast(backend):
    widths = np.stack([WIDTHS, HEIGHTS])[:, None, :]  # a batch of shape (2, 1)
    batch = RationalQuadraticSpline(of(backend, widths), of(backend, HEIGHTS), 1.5, range_min=-1.5)
    x = of(backend, [-0.75, 0.5, 2.0])
    y, log_det = batch.forward_and_log_det(x)
    assert receive(backend, y).shape == receive(backend, log_det).shape == (2, 3)
    for row, sizes in enumerate((WIDTHS, HEIGHTS)):
        one = RationalQuadraticSpline(of(backend, sizes), of(backend, HEIGHTS), [1.5, 1.5], range_min=-1.5)
        same(backend, one.forward(x), receive(backend, y)[row])
    assert batch.parameter_batch_shape() == (2, 1)
    assert batch.parameter_batch_shape(event_ndims=1) == (2,)
    with pytest.raises(ValueError, match="parameters of rational_quadratic_spline must not be larger than an event"):
        RationalQuadraticSpline(np.tile(WIDTHS, (4, 1)), HEIGHTS, 1.5).forward_log_det_jacobian(np.ones(1), 1)


def test_one_bin_is_the_identity(backend):
    for slopes in (3.0, of(backend, [3.0]), of(backend, np.ones((0,)))):
        one = RationalQuadraticSpline([2.0], [2.0], slopes)
        same(backend, one.forward(of(backend, [-0.5, 0.25, 7.0])), [-0.5, 0.25, 7.0])
        same(backend, one.forward_log_det_jacobian(of(backend, [-0.5, 0.25, 7.0])), [0.0, 0.0, 0.0])


def test_it_transforms_the_units_of_a_coupling(backend):
    def knots(x0, units):
        xp = backend.namespace()
        widths = xp.broadcast_to(of(backend, WIDTHS), (*x0.shape[:-1], units, 3))
        return RationalQuadraticSpline(widths, HEIGHTS, xp.expand_dims(xp.exp(x0), axis=-1), range_min=-1.5)

    flow = RealNVP(1, bijector_fn=knots)
    x = of(backend, [[0.5, -0.75, 0.25], [-0.25, 9.0, 2.0]])
    y, log_det = flow.forward_and_log_det(x)
    for row in range(2):
        slope = float(np.exp(receive(backend, x)[row, 0]))
        one = RationalQuadraticSpline(WIDTHS, HEIGHTS, slope, range_min=-1.5)
        value, terms = one.forward_and_log_det(receive(backend, x)[row, 1:].astype(np.float64))
        error = np.abs(receive(backend, y)[row, 1:] - value)
        assert (error <= accumulated(64.0, FORMATS["float32"].roundoff) * 10.0).all()
        assert abs(receive(backend, log_det)[row] - terms.sum()) <= accumulated(64.0, FORMATS["float32"].roundoff) * 10
    assert (receive(backend, y)[:, 0] == receive(backend, x)[:, 0]).all()


def test_variables_are_found_and_trained(backend):
    made = RationalQuadraticSpline(
        Variable("widths", of(backend, WIDTHS), trainable=True), of(backend, HEIGHTS), 2.0, range_min=-1.5
    )
    assert [variable.name for variable in made.trainable_variables] == ["widths"]
    found = gradient(
        backend,
        lambda value: made.stateless_call([value], [], of(backend, [0.5]), method="forward")[0],
        made.trainable_variables[0].value,
    )
    assert (receive(backend, found) != 0.0).all()


REFUSED = [
    (([2.0, 0.0], [1.0, 1.0], 1.0), r"bin_widths must be positive. Got failing=1"),
    (([1.0, 1.0], [-1.0, 3.0], 1.0), "bin_heights must be positive"),
    (([1.0, 1.0], [1.5, 0.5], 0.0), "knot_slopes must be positive"),
    (([1.0, 1.0], [1.5, 0.5], np.nan), "knot_slopes must be positive"),
    (([1.0, 1.0], [1.5, 0.5000076], 2.0), "bin_widths and bin_heights must have one sum. Got failing=1. Scale one"),
]


@pytest.mark.parametrize(("given", "text"), REFUSED)
def test_values_are_checked_when_asked_for(backend, given, text):
    for checked in (
        RationalQuadraticSpline(*given, validate_args=True),
        Chain([Invert(RationalQuadraticSpline(*given))], validate_args=True),
    ):
        for method in ("forward", "inverse", "forward_and_log_det", "inverse_log_det_jacobian"):
            with pytest.raises(ValueError, match=text):
                getattr(checked, method)(of(backend, [0.25]))


def test_sums_that_differ_by_rounding_are_allowed(backend):
    shares = np.exp(np.random.default_rng(0).normal(0, 2, (200, 2, 7))).astype(np.float32)
    shares = np.float32(4.0) * shares / shares.sum(axis=-1, keepdims=True)
    checked = RationalQuadraticSpline(of(backend, shares[:, 0]), of(backend, shares[:, 1]), 2.0, validate_args=True)
    same(backend, checked.forward(of(backend, np.full(200, -9.0))), np.full(200, -9.0))


MISSHAPEN = [
    ((2.0, [2.0], 1.0), "bin_widths and bin_heights must have an axis of bins. Got bin_widths=()"),
    (([1.0, 1.0], [2.0], 1.0), "must have the same number of bins, at least 1"),
    (([], [], 1.0), "must have the same number of bins, at least 1"),
    (([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]), "knot_slopes must be a number, or 2 for 3 bins"),
    (([1.0, 1.0], [1.0, 1.0], [2.0], [-1.0]), "range_min must be one number"),
    ((np.ones((2, 3)), np.ones((3, 3)), 2.0), "shapes must be broadcastable"),
]


@pytest.mark.parametrize(("given", "text"), MISSHAPEN)
def test_shapes_are_always_checked(given, text):
    with pytest.raises(ValueError, match=text.replace("(", r"\(").replace(")", r"\)")):
        RationalQuadraticSpline(*given)


def test_parameters_are_needed():
    with pytest.raises(TypeError, match="bin_heights must be given"):
        RationalQuadraticSpline([1.0], None, 1.0)
    with pytest.raises(TypeError, match="knot_slopes must be a number, a list of numbers, an array or a Variable"):
        RationalQuadraticSpline([1.0], [1.0], "1")


def test_arguments_can_be_read():
    made = spline(name="curve")
    assert (made.bin_widths, made.bin_heights, made.knot_slopes) == (tuple(WIDTHS), tuple(HEIGHTS), tuple(SLOPES))
    assert (made.range_min, made.name) == (-1.5, "curve")
    assert made == spline()
    assert made != RationalQuadraticSpline(WIDTHS, HEIGHTS, SLOPES)
    assert made.copy(range_min=0.0).range_min == 0.0
    assert RationalQuadraticSpline([1.0], [1.0], 1.0).range_min == -1
    assert bnspec.bijectors.RationalQuadraticSpline is RationalQuadraticSpline
