"""What bijectors say of themselves for the statistics and the probabilities of transformed distributions."""

import numpy as np
import pytest

from bnspec.arrays import common_namespace
from bnspec.bijectors import (
    Bijector,
    Blockwise,
    Chain,
    Exp,
    Identity,
    Invert,
    Permute,
    Reciprocal,
    Reshape,
    Scale,
    ScaleMatvecDiag,
    Shift,
)
from bnspec.distributions import MultivariateNormalDiag, Normal, TransformedDistribution
from bnspec.variables import Variable
from bnspec_conformance import bounds
from bnspec_conformance.bounds import FORMATS

from .distribution_helpers import Coupling, array


class Line(Bijector):
    """y = slope x + 1, where the slope is a condition; what it says of itself is all that is known of it."""

    def __init__(self, affine=True):
        super().__init__(forward_min_event_ndims=0, parameters={"affine": affine})
        self.is_line = affine

    @property
    def is_affine(self):
        return self.is_line

    def _forward_and_log_det(self, x, slope):
        return x * slope + 1.0, None

    def _inverse_and_log_det(self, y, slope):
        return (y - 1.0) / slope, None


class Level(Line):
    """A line that knows its slope by itself, and keeps deviations free of the shift."""

    def _is_increasing(self, like, condition):
        return common_namespace(like=like).asarray(condition["slope"], dtype=like.dtype) > 0.0

    def _linear_part(self, direction, x, condition):
        return x * condition["slope"] if direction == "forward" else x / condition["slope"]


class Cubic(Bijector):
    """y = -x^3 as a map of numbers that says that it falls; without an inverse, for brevity."""

    def __init__(self, falls=True):
        super().__init__(forward_min_event_ndims=0, parameters={"falls": falls})
        self.falls = falls

    def _inverse_and_log_det(self, y):
        return -y * y * y, None

    def _is_increasing(self, like, condition):
        return False if self.falls else None


@pytest.mark.parametrize("kind", [Line, Level])
def test_a_subclass_that_is_affine_has_statistics(backend, kind):
    base = Normal(array(backend, 0.5), 0.25)
    for bijector in (kind(), Chain([Shift(-1.0), kind(), Identity()]), Invert(Invert(kind()))):
        flow = bijector(base)
        assert float(flow.stddev(slope=-4.0)) == 1.0
        assert float(flow.mean(slope=-4.0)) == (-2.0 if isinstance(bijector, Chain) else -1.0)
        median = flow.mean(slope=-4.0)
        assert float(flow.cdf(median, slope=-4.0)) == 0.5
        beyond = median + 1.0
        assert float(flow.cdf(beyond, slope=-4.0)) == float(base.survival_function(0.25))
        assert float(flow.cdf(beyond, slope=4.0 * 0.5)) == float(base.cdf(bijector.inverse(beyond, slope=2.0)))
    blocks = Blockwise([kind(), Scale(2.0)], [2, 1])(MultivariateNormalDiag(scale_diag=array(backend, [0.5, 2.0, 1.0])))
    np.testing.assert_array_equal(backend.to_numpy(blocks.stddev(slope=2.0)), [1.0, 4.0, 2.0])


def test_a_linear_part_of_its_own_keeps_the_digits(backend):
    class Far(Level):
        def _forward_and_log_det(self, x, slope):
            return x * slope + 2.0**40, None

    base = Normal(array(backend, 0.5), 0.25)
    assert float(Far()(base).stddev(slope=2.0)) == 0.5
    Far._linear_part = Bijector._linear_part
    assert float(Far()(base).stddev(slope=2.0)) == 0.0


def test_what_says_nothing_has_no_statistics(backend):
    base = Normal(array(backend, 0.5), 0.25)
    for bijector, methods in (
        (Line(affine=False), ("mean", "stddev")),
        (Chain([Scale(2.0), Cubic(falls=False)]), ("mean", "quantile")),
    ):
        for method in methods:
            given = {"slope": 2.0} if isinstance(bijector, Line) else {}
            with pytest.raises(NotImplementedError, match=rf"must have a formula for {method}"):
                getattr(bijector(base), method)(*([0.5] if method == "quantile" else []), **given)


def test_a_subclass_says_that_it_falls(backend):
    base, y = Normal(array(backend, 0.5), 2.0), array(backend, [-1.0, 0.25])
    x = backend.to_numpy(Cubic().inverse(y))
    for flow, method in (
        (Cubic()(base), "survival_function"),
        (Chain([Scale(-1.0), Cubic(), Scale(array(backend, [1.0, 1.0]))])(base), "cdf"),
    ):
        at = y if method == "survival_function" else -y
        wanted = getattr(base, method)(backend.asarray(x))
        np.testing.assert_array_equal(backend.to_numpy(flow.cdf(at)), backend.to_numpy(wanted))
    assert Scale(2.0)(Cubic()(base)).log_survival_function(y).shape == (2,)


def test_statistics_of_affine_maps_are_exact(backend):
    far = Chain([Shift(2.0**20), Invert(Scale(-0.5))])(Normal(array(backend, 0.5), 0.25))
    for method, wanted in {"mean": 2.0**20 - 1.0, "mode": 2.0**20 - 1.0, "stddev": 0.5, "variance": 0.25}.items():
        assert float(getattr(far, method)()) == wanted  # a shift of a million deviations costs them nothing
    base = MultivariateNormalDiag(array(backend, [1.0, 2.0, 4.0]), [1.0, -2.0, 0.5])
    flow = Chain([Shift([[0.0], [8.0]]), Permute([2, 0, 1]), ScaleMatvecDiag([2.0, -1.0, 4.0])])(base)
    for method, wanted in {
        "mean": [[16.0, 2.0, -2.0], [24.0, 10.0, 6.0]],
        "mode": [[16.0, 2.0, -2.0], [24.0, 10.0, 6.0]],
        "stddev": [[2.0, 2.0, 2.0]] * 2,
        "covariance": [np.diag([4.0, 4.0, 4.0])] * 2,
    }.items():
        np.testing.assert_array_equal(backend.to_numpy(getattr(flow, method)()), wanted, err_msg=method)
    assert tuple(flow.entropy().shape) == (2,)
    reshaped = Reshape([3, 1])(base)
    np.testing.assert_array_equal(backend.to_numpy(reshaped.stddev()), [[1.0], [2.0], [0.5]])
    same = Identity()(base)
    np.testing.assert_array_equal(backend.to_numpy(same.entropy()), backend.to_numpy(base.entropy()))
    doubled = Scale([2.0, 2.0, 2.0])(base)
    wanted = np.asarray(backend.to_numpy(base.entropy()) + 3.0 * np.log(2.0))
    error = bounds.accumulated(16.0, FORMATS["float32"].roundoff) * (np.abs(wanted) + 8.0)
    assert abs(float(doubled.entropy()) - wanted) <= error


def test_the_range_of_deviations_is_that_of_the_dtype(backend):
    wide = Scale(array(backend, 2.0))(Normal(array(backend, 0.0), array(backend, 2.0**100)))
    assert float(wide.stddev()) == 2.0**101
    through = Chain([Scale(2.0**-100), Shift([0.0, 2.0**60]), Scale(array(backend, 2.0**100))])(Normal(0.0, 1.0))
    np.testing.assert_array_equal(backend.to_numpy(through.stddev()), [1.0, 1.0])
    base = MultivariateNormalDiag(scale_diag=array(backend, [0.5, 2.0]))
    shift = Variable("shift", array(backend, [2.0**30]), trainable=True)
    blocks = Blockwise([Invert(Shift(shift)), Chain([Shift([2.0**40]), Scale(4.0)])])(base)
    np.testing.assert_array_equal(backend.to_numpy(blocks.stddev()), [0.5, 8.0])
    np.testing.assert_array_equal(backend.to_numpy(blocks.covariance()), [[0.25, 0.0], [0.0, 64.0]])


def test_a_constant_jacobian_does_not_make_a_mean():
    flow = TransformedDistribution(MultivariateNormalDiag([1.0, 0.0]), Coupling())
    for method in ("mean", "stddev", "variance", "covariance"):
        with pytest.raises(NotImplementedError, match=r"must have a formula for"):
            getattr(flow, method)()
    np.testing.assert_array_equal(flow.mode(), [1.0, 1.0])
    assert flow.entropy() == flow.distribution.entropy()
    for method in ("mean", "mode", "stddev", "entropy"):
        with pytest.raises(NotImplementedError, match=rf"expNormal must have a formula for {method}\. Estimate it"):
            getattr(Exp()(Normal(0.0, 1.0)), method)()


def test_monotonic_maps_move_probabilities(backend):
    base = Normal(array(backend, 0.5), 2.0)
    for bijector, flips in (
        (Shift(1.0), False),
        (Scale(-2.0), True),
        (Chain([Scale(-2.0), Scale([-4.0])]), False),
        (Invert(Scale(-0.5)), True),
    ):
        flow = bijector(base)
        x = array(backend, [-3.0, 0.0, 2.5])
        y = bijector.forward(x)
        for method, other in (
            ("cdf", "survival_function"),
            ("log_cdf", "log_survival_function"),
            ("survival_function", "cdf"),
            ("log_survival_function", "log_cdf"),
        ):
            wanted = getattr(base, other if flips else method)(x)
            np.testing.assert_array_equal(
                backend.to_numpy(getattr(flow, method)(y)), backend.to_numpy(wanted), err_msg=method
            )
        p = array(backend, [0.125, 0.5])
        wanted = bijector.forward(base.quantile(1.0 - p if flips else p))
        np.testing.assert_array_equal(backend.to_numpy(flow.quantile(p)), backend.to_numpy(wanted))
    scale = Variable("scale", array(backend, 2.0), trainable=True)
    for unknown in (Reciprocal()(base), Chain([Exp(), Reciprocal(), Scale(scale)])(base)):
        for method in ("cdf", "quantile"):
            with pytest.raises(NotImplementedError, match=rf"must have a formula for {method}"):
                getattr(unknown, method)(0.5)


def test_quantiles_of_falling_maps_keep_the_tails(backend):
    base, tiny = Normal(array(backend, 0.0), 1.0), array(backend, [1e-20, 1e-30, 0.25])
    wanted = backend.to_numpy(base.quantile(tiny))
    assert np.isfinite(wanted).all()
    for falling in (Scale(-1.0), Scale(array(backend, [-1.0] * 3)), Chain([Shift(0.0), Invert(Scale(-1.0))])):
        np.testing.assert_array_equal(backend.to_numpy(falling(base).quantile(tiny)), wanted)
    twice = TransformedDistribution(Scale(-1.0)(base), Scale(-1.0))
    np.testing.assert_array_equal(backend.to_numpy(twice.quantile(tiny)), wanted)
    moved = Scale(-1.0)(Normal(array(backend, 2.0), 0.5)).quantile(array(backend, [0.0, 0.5, 1.0]))
    np.testing.assert_array_equal(backend.to_numpy(moved), [-np.inf, -2.0, np.inf])


MONOTONIC = {
    "scale": Scale,
    "inverse": lambda scale: Invert(Scale(scale)),
    "chain": lambda scale: Chain([Exp(), Scale(-2.0), Shift(1.0), Scale(scale)]),
    "inverse of a chain": lambda scale: Invert(Chain([Scale(scale), Exp()])),
}


@pytest.mark.parametrize("name", MONOTONIC)
def test_signs_that_parameters_tell_select_the_side(backend, name):
    factors = np.float32([2.0, -0.5, -4.0])
    scale = Variable("scale", backend.asarray(factors), trainable=True)
    both = MONOTONIC[name](scale)(Normal(0.5, 2.0))
    y = np.float32([[0.25, -0.75, -2.0], [3.0, -2.0, -0.125]]) if "of a" in name else np.float32([[0.25], [3.0]])
    p = np.float32([[1e-20], [0.25]])
    for method, at in (
        *((method, y) for method in ("cdf", "log_cdf", "survival_function", "log_survival_function")),
        ("quantile", p),
    ):
        if "of a" in name and method == "quantile":
            continue  # the logarithm of what is not positive
        seen = backend.to_numpy(getattr(both, method)(backend.asarray(at)))
        for column, factor in enumerate(factors):
            single = MONOTONIC[name](float(factor))(Normal(0.5, 2.0))
            wanted = getattr(single, method)(backend.asarray(at[:, column if at.shape[1] > 1 else 0]))
            np.testing.assert_array_equal(seen[:, column], backend.to_numpy(wanted), err_msg=method)


def test_signs_that_are_known_when_the_call_runs(backend):
    if "compile" in backend.gaps():
        pytest.skip(backend.gaps()["compile"])
    scale = Variable("scale", array(backend, [2.0, -0.5]), trainable=True)
    flow = Chain([Shift(1.0), Scale(scale)])(Normal(0.5, 2.0))
    at = array(backend, [[0.25], [0.75]])
    for method in ("cdf", "log_survival_function", "quantile"):

        def called(value, x, method=method):
            return flow.stateless_call([value], [], x, method=method)[0]

        eager = backend.to_numpy(called(scale.value, at))
        compiled = backend.to_numpy(backend.compile(called)(scale.value, at))
        error = bounds.accumulated(64.0, FORMATS["float32"].roundoff) * (np.abs(eager) + 8.0)
        assert (np.abs(compiled - eager) <= error).all(), method
