"""Squeeze: squares of pixels as channels, and back."""

import numpy as np
import pytest

from bnspec.bijectors import Chain, Permute, Reshape, squeeze
from bnspec_conformance import oracle
from bnspec_conformance.definition import receive

from .bijector_helpers import same


@pytest.mark.parametrize(("shape", "factor"), [((4, 6, 3), 2), ((3, 6, 1), 3), ((2, 2, 5), 1), ((2, 2, 0), 2)])
def test_squares_become_channels(backend, shape, factor):
    images = np.arange(2.0 * np.prod(shape), dtype=np.float32).reshape(2, *shape)
    height, width, channels = shape
    rows, columns = height // factor, width // factor
    squares = images.reshape(2, rows, factor, columns, factor, channels).transpose(0, 1, 3, 2, 4, 5)
    expected = squares.reshape(2, rows, columns, factor**2 * channels)
    bijector = squeeze(*shape, factor=factor)
    y, log_det = bijector.forward_and_log_det(backend.asarray(images))
    same(backend, y, expected)
    same(backend, log_det, np.zeros(2))
    same(backend, bijector.inverse(y), images)
    assert bijector.forward_min_event_ndims == bijector.inverse_min_event_ndims == 3
    assert bijector.forward_event_shape((None, *shape)) == (None, *expected.shape[1:])
    np.testing.assert_array_equal(oracle.squeezed(images, factor, "forward"), expected)
    np.testing.assert_array_equal(oracle.squeezed(expected, factor, "inverse"), images)


def test_it_is_space_to_depth_of_tensorflow():
    tensorflow = pytest.importorskip("tensorflow")
    images = np.random.default_rng(0).normal(size=(2, 6, 9, 2)).astype(np.float32)
    expected = tensorflow.nn.space_to_depth(images, 3).numpy()
    np.testing.assert_array_equal(squeeze(6, 9, 2, 3).forward(images), expected)


def test_it_is_made_of_permute_and_reshape():
    made = squeeze(4, 4, 1)
    assert isinstance(made, Chain)
    assert {type(part) for part in made.bijectors} == {Permute, Reshape}
    assert made == squeeze(4, 4, 1, 2)
    assert made.is_constant_jacobian
    assert made.name == "squeeze"


@pytest.mark.parametrize("sizes", [(3, 4, 1, 2), (4, 5, 1, 2), (4, 4, 1, 0)])
def test_what_does_not_divide_is_refused(sizes):
    text = rf"multiples of the factor. Got height={sizes[0]}, width={sizes[1]}, factor={sizes[3]}"
    with pytest.raises(ValueError, match=text):
        squeeze(*sizes)


def test_sizes_are_integers(backend):
    with pytest.raises(TypeError, match="sequence of integers"):
        squeeze(4.0, 4, 1)
    with pytest.raises(ValueError, match="must not have negative sizes"):
        squeeze(4, -4, 1)
    with pytest.raises(ValueError):  # noqa: PT011 - the text is that of Reshape
        squeeze(4, 4, 1).forward(backend.asarray(np.zeros((2, 4, 6, 1), np.float32)))
    assert receive(backend, squeeze(4, 4, 1).forward(backend.asarray(np.zeros((4, 4, 1), np.float32)))).shape == (
        2,
        2,
        4,
    )
