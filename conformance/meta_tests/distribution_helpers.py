"""What the tests of distributions share: arrays, and a coupling that counts."""

import numpy as np

from bnspec.arrays import common_namespace, shape_of
from bnspec.bijectors import Bijector


def array(backend, values, dtype="float32"):
    return backend.asarray(np.asarray(values, dtype=dtype))


class Coupling(Bijector):
    """Shift the second half by a square of the first; count how often that is computed."""

    def __init__(self, name="coupling"):
        super().__init__(forward_min_event_ndims=1, is_constant_jacobian=True, parameters={"name": name}, name=name)
        self.calls = []

    def _moved_half(self, x, sign, offset):
        self.calls.append(sign)
        xp = common_namespace(x=x)
        half = shape_of(x)[-1] // 2
        first, second = x[..., :half], x[..., half:]
        return xp.concat([first, second + sign * (first * first + offset)], axis=-1), xp.zeros((), dtype=x.dtype)

    def _forward_and_log_det(self, x, offset=0.0):
        return self._moved_half(x, 1.0, offset)

    def _inverse_and_log_det(self, y, offset=0.0):
        return self._moved_half(y, -1.0, offset)
