"""Shifts and scales: exact on numbers that are, with signs, batches and arguments as they come."""

import numpy as np
import pytest

from bnspec.bijectors import Chain, Identity, Invert, Scale, ScaleMatvecDiag, Shift
from bnspec.variables import Variable
from bnspec_conformance.definition import receive

from .bijector_helpers import gradient, near, of, same

X = [[1.0, -2.0, 0.5], [3.0, 0.25, -8.0]]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_identity_and_shift_keep_volumes(backend, dtype):
    x = of(backend, X, dtype)
    for bijector, expected in (
        (Identity(), np.asarray(X)),
        (Shift([1.0, -0.5, 2.0]), np.asarray(X) + np.asarray([1.0, -0.5, 2.0])),
    ):
        y, log_det = bijector.forward_and_log_det(x)
        same(backend, y, expected, dtype)
        same(backend, log_det, np.zeros((2, 3)), dtype)
        back, log_det = bijector.inverse_and_log_det(y, event_ndims=1)
        same(backend, back, X, dtype)
        same(backend, log_det, np.zeros(2), dtype)
        assert bijector.is_constant_jacobian


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scale_takes_signs(backend, dtype):
    x = of(backend, X, dtype)
    bijector = Scale([-2.0, 0.5, 1.0])
    y, log_det = bijector.forward_and_log_det(x)
    same(backend, y, np.asarray(X) * [-2.0, 0.5, 1.0], dtype)
    logs = np.log([2.0, 0.5, 1.0])
    near(backend, log_det, np.broadcast_to(logs, (2, 3)), dtype=dtype)
    back, log_det = bijector.inverse_and_log_det(y)
    same(backend, back, X, dtype)
    near(backend, log_det, np.broadcast_to(-logs, (2, 3)), dtype=dtype)
    near(backend, Scale(-4.0).forward_log_det_jacobian(x, event_ndims=2), 6.0 * np.log(4.0), dtype=dtype)


def test_a_log_scale_keeps_its_log_det_where_the_scale_has_none(backend):
    y, log_det = Scale(log_scale=-2000.0).forward_and_log_det(of(backend, [3.0, 4.0]))
    same(backend, y, [0.0, 0.0])
    same(backend, log_det, [-2000.0, -2000.0])
    y, log_det = Scale(log_scale=2000.0).inverse_and_log_det(of(backend, [3.0, 4.0]), event_ndims=1)
    same(backend, log_det, -4000.0)
    near(backend, Scale(log_scale=[2.0]).forward(of(backend, [3.0])), [3.0 * np.exp(2.0)])


@pytest.mark.parametrize("given", ["numbers", "array", "variable", "numpy scalar"])
def test_arguments_are_numbers_arrays_and_variables(backend, given):
    made = {
        "numbers": lambda: [2.0, 4.0],
        "array": lambda: of(backend, [2.0, 4.0]),
        "variable": lambda: Variable("scale", of(backend, [2.0, 4.0]), trainable=True),
        "numpy scalar": lambda: np.float64(2.0),
    }[given]()
    x = of(backend, [1.0, -3.0])
    expected = np.asarray([1.0, -3.0]) * (2.0 if given == "numpy scalar" else [2.0, 4.0])
    bijector = Scale(made)
    same(backend, bijector.forward(x), expected)
    same(backend, bijector.inverse(of(backend, expected)), [1.0, -3.0])
    assert (bijector.dtype is None) == (given in ("numbers", "numpy scalar"))
    assert len(bijector.trainable_variables) == (given == "variable")
    plain = {"numbers": (2.0, 4.0), "numpy scalar": 2.0}
    assert bijector.scale == plain[given] if given in plain else bijector.scale is made


def test_numbers_take_the_library_of_the_parameters(backend):
    shift = Shift(of(backend, [1.0, 2.0]))
    same(backend, shift.forward([1.0, 2.0]), [2.0, 4.0])
    same(backend, shift.inverse_log_det_jacobian(3.0), [0.0, 0.0])
    same(backend, Chain([Scale(2.0), Invert(shift)]).forward([[1.0, 2.0]]), [[0.0, 0.0]])


def test_a_variable_moves_the_map_and_has_a_gradient(backend):
    variable = Variable("shift", of(backend, [1.0, 2.0]), trainable=True)
    bijector = Chain([Scale(3.0), Shift(variable)])
    x = of(backend, [1.0, 2.0])
    same(backend, bijector.forward(x), [6.0, 12.0])
    variable.assign(of(backend, [0.0, 1.0]))
    same(backend, bijector.forward(x), [3.0, 9.0])
    found = gradient(backend, lambda v: bijector.stateless_call([v], [], x, method="forward")[0], variable.value)
    same(backend, found, [3.0, 3.0])


def test_log_dets_have_the_gradients_of_their_parameters(backend):
    x = of(backend, np.ones((4, 2)))
    found = gradient(backend, lambda s: Scale(s).forward_log_det_jacobian(x), of(backend, [-2.0, 0.5]))
    same(backend, found, [-2.0, 8.0])
    found = gradient(backend, lambda d: ScaleMatvecDiag(d).inverse_log_det_jacobian(x), of(backend, [-2.0, 0.5]))
    same(backend, found, [2.0, -8.0])


def test_a_diagonal_maps_vectors(backend):
    bijector = ScaleMatvecDiag([-2.0, 0.5, 4.0])
    y, log_det = bijector.forward_and_log_det(of(backend, X))
    same(backend, y, np.asarray(X) * [-2.0, 0.5, 4.0])
    near(backend, log_det, [np.log(4.0)] * 2, size=[np.log(16.0)] * 2)
    same(backend, bijector.inverse(y), X)
    near(backend, bijector.inverse_log_det_jacobian(y, event_ndims=2), -2 * np.log(4.0), size=np.log(256.0))
    assert bijector.forward_min_event_ndims == bijector.inverse_min_event_ndims == 1
    assert bijector.forward_event_shape((None,)) == (3,)


def test_a_batch_of_diagonals_broadcasts_the_batch(backend):
    y, log_det = ScaleMatvecDiag([[1.0, 2.0], [4.0, 8.0]]).forward_and_log_det(of(backend, [1.0, 1.0]))
    same(backend, y, [[1.0, 2.0], [4.0, 8.0]])
    near(backend, log_det, np.log([2.0, 32.0]))


def test_a_diagonal_is_not_broadcast_over_the_event(backend):
    for given, x in (([2.0], X), ([2.0, 1.0, 1.0], [[1.0]])):
        for method in ("forward", "inverse_log_det_jacobian"):
            with pytest.raises(
                ValueError, match=rf"must have {len(given)} elements. Got shape=.* scale_diag={len(given)}"
            ):
                getattr(ScaleMatvecDiag(given), method)(of(backend, x))
    with pytest.raises(ValueError, match=r"must have 1 elements. Got shape=\(3,\)"):
        ScaleMatvecDiag([2.0]).forward_event_shape((3,))
    with pytest.raises(ValueError, match=r"input of scale_matvec_diag must have the rank of an event. Got shape=\(\)"):
        ScaleMatvecDiag([2.0]).forward(of(backend, 1.0))
    with pytest.raises(ValueError, match="scale_diag must not have a zero"):
        ScaleMatvecDiag([2.0, 0.0], validate_args=True).inverse(of(backend, [1.0, 2.0]))


@pytest.mark.parametrize("make", [lambda: ScaleMatvecDiag(2.0), lambda: ScaleMatvecDiag(np.float32(2.0))])
def test_a_diagonal_has_an_axis(make):
    with pytest.raises(ValueError, match=r"scale_diag must have at least one axis. Got shape=\(\). Use Scale"):
        make()


def test_bad_arguments_are_refused(backend):
    with pytest.raises(ValueError, match=r"exactly one of scale and log_scale must be given. Got scale=None"):
        Scale()
    with pytest.raises(
        ValueError, match=r"exactly one of scale and log_scale must be given. Got scale=1.0, log_scale=2"
    ):
        Scale(1.0, 2.0)
    for make in (Shift, ScaleMatvecDiag):
        with pytest.raises(TypeError, match=r"must be a number, a list of numbers, an array or a Variable. Got .*None"):
            make(None)
    with pytest.raises(TypeError, match="shift must be a number, a list"):
        Shift("1")
    with pytest.raises(TypeError, match="scale must be real floating"):
        Scale(backend.asarray(np.asarray([1, 2], np.int32)))
    with pytest.raises(ValueError, match="scale must be a list of which all parts have one shape"):
        Scale([[1.0], [1.0, 2.0]])


def test_nothing_is_cast_in_silence(backend):
    if "float64" in backend.gaps():
        pytest.skip(backend.gaps()["float64"])
    bijector = Shift(of(backend, [1.0, 2.0]))
    with pytest.raises(
        TypeError, match=r"x must have the dtype of the parameters. Got x=.float64., parameters=.float32."
    ):
        bijector.forward(of(backend, [1.0, 2.0], "float64"))
    with pytest.raises(TypeError, match="all parts must have one dtype"):
        Chain([bijector, Shift(of(backend, [1.0, 2.0], "float64"))])
    assert receive(backend, bijector.forward([1.0, 2.0])).dtype == np.float32
