"""nflows.transforms.BatchNorm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import NFLOWS as CONVENTION
from bnspec.errors import message

from ._torch import differentiated, received, sent

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["NFLOWS"]


class NflowsLayer:
    """One layer; its gamma is softplus(u) + epsilon.

    Parameters
    ----------
    layer : nflows.transforms.BatchNorm
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def load(self, gamma: Array, beta: Array, moving_mean: Array, moving_variance: Array) -> None:
        """Set what gamma is made of, beta, and the buffers."""
        size = gamma.astype(np.float64) - self.layer.eps
        if not (size > 0).all():
            raise ValueError(message("gamma must be larger than epsilon", gamma=gamma, epsilon=self.layer.eps))
        pairs = (
            (self.layer.unconstrained_weight.data, np.log(np.expm1(size))),
            (self.layer.bias.data, beta),
            (self.layer.running_mean, moving_mean),
            (self.layer.running_var, moving_variance),
        )
        for variable, value in pairs:
            variable.copy_(sent(value))

    def __call__(self, x: Array, training: bool) -> Array:
        """Call in one of the modes, without the log-determinant."""
        return received(self.layer.train(training)(sent(x))[0])

    def read(self) -> tuple[Array, Array]:
        """Return the buffers."""
        return received(self.layer.running_mean), received(self.layer.running_var)

    def log_det(self, x: Array, training: bool) -> Array:
        """Call in one of the modes, and keep the log-determinant alone."""
        return received(self.layer.train(training)(sent(x))[1])

    def invert(self, y: Array) -> Array:
        """Go back in evaluation, the only mode that has the inverse."""
        return received(self.layer.eval().inverse(sent(y))[0])

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Go backward to x, beta and what gamma is made of, whose derivative turns its gradient into that of gamma."""
        made_of = self.layer.unconstrained_weight
        parameters = {"gamma": made_of, "beta": self.layer.bias}
        found = differentiated(lambda x: self.layer.train(training)(x)[0], x, cotangent, parameters)
        found["gamma"] = (found["gamma"] * (1.0 + np.exp(-received(made_of)))).astype(found["gamma"].dtype)
        return found


class Nflows:
    """``nflows.transforms.BatchNorm``."""

    convention = CONVENTION
    layer = NflowsLayer
    gaps = {  # noqa: RUF012 - never changed
        **dict.fromkeys(("rank 1", "rank 3", "rank 4", "rank 5", "axis 0", "several axes"), "it takes rows"),
        "any gamma": "gamma is softplus(u) + epsilon",
        "momentum=None": "momentum is a number",
        "center=False": "there is always a beta",
        "scale=False": "there is always a gamma",
    }

    def __call__(self, config: Config) -> NflowsLayer:
        """Build a layer; for half precision its parameters are float32."""
        import torch  # noqa: PLC0415 - when a layer is built
        from nflows.transforms import BatchNorm  # noqa: PLC0415

        layer = BatchNorm(config.num_features, eps=config.epsilon, momentum=config.momentum)
        return NflowsLayer(layer.to(torch.float64 if config.dtype == "float64" else torch.float32))

    def default(self, shape: tuple[int, ...], dtype: str) -> NflowsLayer:
        """Build a layer from the number of features."""
        from nflows.transforms import BatchNorm  # noqa: PLC0415 - when a layer is built

        return NflowsLayer(BatchNorm(shape[1]))


NFLOWS = Nflows()
