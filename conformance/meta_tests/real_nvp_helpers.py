"""What the tests of Real NVP share: points, a conditioner, and a bijector that counts."""

import numpy as np

from bnspec.arrays import common_namespace, shape_of
from bnspec.bijectors import Bijector
from bnspec.variables import resolved

X = np.asarray([[0.5, -1.0, 2.0, 0.25, -3.0], [1.5, 0.75, -0.5, 4.0, 1.0], [-2.0, 0.125, 3.5, -1.25, 0.5]], np.float32)
METHODS = [
    "forward",
    "inverse",
    "forward_log_det_jacobian",
    "inverse_log_det_jacobian",
    "forward_and_log_det",
    "inverse_and_log_det",
]


def conditioner(x0, units):
    """Exact in float32 on X: halves of sums of few bits."""
    xp = np if isinstance(x0, np.ndarray) else common_namespace(x0=x0)
    total = xp.sum(x0, axis=-1, keepdims=True)
    ramp = xp.arange(1, units + 1, dtype=x0.dtype)
    return total * 0.5 + ramp, total * 0.125 * ramp


class Times(Bijector):
    """Multiply numbers, or vectors; it counts its inverses. The log-dets are the factors, whose sums are exact."""

    def __init__(self, factor, ndims=0, after=None, seen=None):
        self.factor, self.seen = factor, seen
        super().__init__(forward_min_event_ndims=ndims, inverse_min_event_ndims=after)

    def _forward_and_log_det(self, x):
        factor = resolved("factor", self.factor, like=x)
        return x * factor, lambda: self._log_det(factor, x)

    def _inverse_and_log_det(self, y):
        factor = resolved("factor", self.factor, like=y)
        if self.seen is not None:
            self.seen.assign(self.seen.value + 1.0)
        return y / factor, lambda: -self._log_det(factor, y)

    def _log_det(self, factor, x):
        xp = common_namespace(x=x)
        return factor if self.forward_min_event_ndims == 0 else xp.sum(xp.broadcast_to(factor, shape_of(x)), axis=-1)
