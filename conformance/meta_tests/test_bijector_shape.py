"""Permutations, other shapes, and the masks of images."""

import numpy as np
import pytest

from bnspec.bijectors import (
    Blockwise,
    Chain,
    Identity,
    Invert,
    Permute,
    Reshape,
    Scale,
    ScaleMatvecDiag,
    channel_permutation,
    checkerboard_permutation,
)

from .bijector_helpers import gradient, near, of, same

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize("as_array", [False, True])
@pytest.mark.parametrize(("order", "axis"), [([2, 0, 3, 1], -1), ([1, 2, 0], -2), ([1, 0], -3)])
def test_permute_takes_an_order_along_an_axis(backend, order, axis, as_array):
    given = backend.asarray(np.asarray(order, np.int32)) if as_array else order
    bijector = Permute(given, axis=axis)
    assert (bijector.forward_min_event_ndims, bijector.inverse_min_event_ndims) == (-axis, -axis)
    assert (bijector.permutation, bijector.axis, bijector.dtype) == (tuple(order), axis, None)
    expected = np.take(X, order, axis=axis)
    y, log_det = bijector.forward_and_log_det(of(backend, X))
    same(backend, y, expected)
    same(backend, log_det, np.zeros(X.shape[:axis]))
    back, log_det = bijector.inverse_and_log_det(y, event_ndims=3)
    same(backend, back, X)
    same(backend, log_det, 0.0)
    assert bijector == Permute(order, axis=axis)


def test_permute_has_gradients(backend):
    weights = of(backend, [1.0, 2.0, 4.0])
    found = gradient(backend, lambda x: Permute([2, 0, 1]).forward(x) * weights, of(backend, [5.0, 6.0, 7.0]))
    same(backend, found, [2.0, 4.0, 1.0])


def test_an_empty_permutation_is_one(backend):
    same(backend, Permute([]).forward(of(backend, np.zeros((2, 0)))), np.zeros((2, 0)))


@pytest.mark.parametrize("given", [[0, 2], [0, 0], [-1, 0], np.asarray([1, 2])])
def test_what_is_no_permutation_is_refused(given):
    with pytest.raises(ValueError, match=r"permutation must have each of 0 to 1 once. Got permutation=\("):
        Permute(given)


@pytest.mark.parametrize("given", [[0.0, 1.0], 1, [True, False], [[0, 1], [1, 0]], np.asarray([[0, 1]]), "10", None])
def test_a_permutation_is_a_list_of_integers(given):
    with pytest.raises(TypeError, match=r"permutation must be a list of integers. Got permutation="):
        Permute(given)


def test_bad_axes_and_sizes_are_refused(backend):
    with pytest.raises(NotImplementedError, match=r"axis must be negative. Got axis=0. Count it from the end"):
        Permute([0, 1], axis=0)
    for axis in (-1.0, True, None):
        with pytest.raises(TypeError, match=f"axis must be an integer. Got axis={axis}"):
            Permute([0, 1], axis=axis)
    for method in ("forward", "inverse"):
        with pytest.raises(
            ValueError, match=r"axis -1 must have the 2 elements of the permutation. Got shape=\(2, 3, 4\)"
        ):
            getattr(Permute([1, 0]), method)(of(backend, X))
    with pytest.raises(ValueError, match=r"input of permute must have the rank of an event. Got shape=\(2,\)"):
        Permute([1, 0], axis=-2).forward(of(backend, [1.0, 2.0]))
    assert Permute([1, 0], axis=-2).forward_event_shape((None, None, 3)) == (None, 2, 3)


SHAPES = [
    ([3, 4], [12], (5, 12), (5, 3, 4)),
    ([-1, 4], [12], (5, 12), (5, 3, 4)),
    ([12], [3, 4], (5, 3, 4), (5, 12)),
    ([12], [-1, 4], (5, 3, 4), (5, 12)),
    ([2, 6], [-1], (12,), (2, 6)),
    ([-1], [3, 4], (5, 3, 4), (5, 12)),
    ([-1, 2], [4, -1], (4, 3), (6, 2)),
    ([], [1], (5, 1), (5,)),
    ([1, 1], [], (5,), (5, 1, 1)),
    ([0, 3], [-1], (5, 0), (5, 0, 3)),
    ([0], [2, 0], (2, 0), (0,)),
    ([-1], [-1], (5, 12), (5, 12)),
]


@pytest.mark.parametrize(("out", "into", "before", "after"), SHAPES)
def test_reshape_lays_elements_out(backend, out, into, before, after):
    bijector = Reshape(out, event_shape_in=into)
    values = np.arange(float(np.prod(before))).reshape(before)
    y, log_det = bijector.forward_and_log_det(of(backend, values))
    same(backend, y, values.reshape(after))
    same(backend, log_det, np.zeros(before[: len(before) - len(into)]))
    back, log_det = bijector.inverse_and_log_det(y)
    same(backend, back, values)
    same(backend, log_det, np.zeros(after[: len(after) - len(out)]))
    assert bijector.forward_event_shape(before) == after
    assert bijector.inverse_event_shape(after) == before
    assert tuple(bijector.forward_event_shape_tensor(before)) == after
    given = backend.asarray(np.asarray(after, np.int32))
    same(backend, bijector.inverse_event_shape_tensor(given), np.asarray(before, np.int32), "int32")
    assert bijector.forward_event_ndims(len(into) + 1) == len(out) + 1
    assert bijector.inverse_event_ndims(len(out)) == len(into)


def test_shapes_may_be_unknown():
    assert Reshape([2, 3]).forward_event_shape([None]) == (2, 3)
    assert Reshape([2, 3]).inverse_event_shape([None, None]) == (6,)
    assert Reshape([-1, 3], [-1]).forward_event_shape([None]) == (None, 3)
    assert Reshape([-1, 3], [-1]).inverse_event_shape([None, 2, 3]) == (None, 6)
    assert Reshape([-1, 3], [-1]).inverse_event_shape([None, 3]) == (None,)


def test_shapes_may_be_arrays(backend):
    bijector = Reshape(backend.asarray(np.asarray([2, 3], np.int32)), np.asarray([-1]))
    same(backend, bijector.forward(of(backend, np.arange(6.0))), np.arange(6.0).reshape(2, 3))
    assert bijector == Reshape([2, 3])
    assert bijector.dtype is None


@pytest.mark.parametrize(("out", "into"), [([2, 3], [5]), ([2, -1], [5]), ([5], [-1, 2]), ([0], [1]), ([], [2])])
def test_shapes_that_do_not_fit_are_found_at_once(out, into):
    with pytest.raises(
        ValueError, match=r"event_shape_out must have as many elements as event_shape_in. Got event_shape_out"
    ):
        Reshape(out, event_shape_in=into)


def test_bad_shapes_are_refused(backend):
    with pytest.raises(
        ValueError, match=r"event_shape_out must have sizes, and -1 at most once. Got event_shape_out=\(-1, -1\)"
    ):
        Reshape([-1, -1])
    with pytest.raises(ValueError, match="event_shape_in must have sizes, and -1 at most once"):
        Reshape([4], event_shape_in=[-2])
    with pytest.raises(ValueError, match="event_shape_out must not have a -1 beside a 0"):
        Reshape([0, -1])
    with pytest.raises(TypeError, match="event_shape_out must be a list of integers"):
        Reshape([1.5])
    for bijector, shape in (
        (Reshape([2, 3]), (5, 5)),
        (Reshape([12], [3, 4]), (4, 3)),
        (Reshape([-1, 5], [-1]), (12,)),
    ):
        with pytest.raises(
            ValueError, match=r"an event of reshape must have the shape \(.*\) to become \(.*\). Got shape="
        ):
            bijector.forward(of(backend, np.zeros(shape)))
        with pytest.raises(ValueError, match="an event of reshape must have the shape"):
            bijector.forward_event_shape(shape)
    with pytest.raises(ValueError, match=r"a shape must not have negative sizes. Got shape=\(-1,\). Write None"):
        Reshape([2, 3]).forward_event_shape([-1])


def test_unknown_dimensions_are_laid_out(backend):
    if "tf.function, unknown dimensions" not in backend.modes():
        pytest.skip("has no such mode")
    unknown = backend.modes()["tf.function, unknown dimensions"]
    for bijector, shape in (
        (Reshape([-1, 2], [4, -1]), (4, 3)),
        (Reshape([3, 4]), (5, 12)),
        (Permute(range(12)), (5, 12)),
        (Blockwise([Scale(2.0), Identity()], [4, 8]), (5, 12)),
    ):
        x = of(backend, np.arange(float(np.prod(shape))).reshape(shape))
        same(backend, unknown(bijector.forward)(x), backend.to_numpy(bijector.forward(x)))
    for bijector in (Reshape([3, 4]), Blockwise([Identity()], [12]), ScaleMatvecDiag([2.0] * 12)):
        with pytest.raises(Exception, match="50 values, but the requested shape has 60"):
            unknown(bijector.forward)(of(backend, np.zeros((5, 10))))


def test_a_checkerboard_puts_squares_of_one_color_first():
    height, width, channels = 3, 5, 2
    colors = np.add.outer(np.arange(height), np.arange(width))[..., None] % 2 + np.zeros(channels, int)
    for odd in (False, True):
        order = checkerboard_permutation(height, width, channels, odd=odd)
        first = (height * width + (not odd)) // 2 * channels
        laid = colors.reshape(-1)[list(order)]
        assert (laid[:first] == odd).all()
        assert (laid[first:] != odd).all()
        assert sorted(order) == list(range(height * width * channels))
        assert list(order[:first]) == sorted(order[:first])


@pytest.mark.parametrize("num_masked", [2, -2, 0, 3, -3])
def test_channels_come_first_or_last(num_masked):
    order = channel_permutation(2, 3, 3, num_masked)
    channel = np.asarray(order) % 3
    wanted = range(3)[:num_masked] if num_masked >= 0 else range(3)[num_masked:]
    first = 6 * abs(num_masked)
    assert set(channel[:first]) == set(wanted)
    assert set(channel[first:]) == set(range(3)) - set(wanted)
    assert sorted(order) == list(range(18))


def test_bad_images_are_refused():
    with pytest.raises(ValueError, match=r"num_masked must not exceed the channels. Got num_masked=-4, channels=3"):
        channel_permutation(2, 2, 3, -4)
    with pytest.raises(ValueError, match="shape must not have negative sizes"):
        checkerboard_permutation(2, -2, 3)
    with pytest.raises(TypeError, match="shape must be a sequence of integers"):
        checkerboard_permutation(2, 2.0, 3)


def test_a_mask_of_an_image_maps_the_black_squares_alone(backend):
    height, width, channels = 2, 3, 1
    flatten = Reshape([6], [height, width, channels])
    permute = Permute(checkerboard_permutation(height, width, channels))
    couple = Blockwise([Identity(), Scale([2.0, 4.0, 8.0])], [3, 3])
    flow = Chain([Invert(flatten), Invert(permute), couple, permute, flatten])
    x = np.arange(1.0, 13.0).reshape(2, 2, 3, 1)
    y, log_det = flow.forward_and_log_det(of(backend, x))
    same(backend, y, x * np.asarray([[1.0, 2.0, 1.0], [4.0, 1.0, 8.0]])[..., None])
    near(backend, log_det, np.log([64.0, 64.0]))
    same(backend, flow.inverse(y), x)
    assert (flow.forward_min_event_ndims, flow.inverse_min_event_ndims) == (3, 3)
