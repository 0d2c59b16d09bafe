"""torch.nn.BatchNorm1d, 2d and 3d on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.conventions import TORCH as CONVENTION

from ._torch import differentiated, received, second, sent

if TYPE_CHECKING:
    import numpy as np

    from bnspec_conformance.adapter import Config

    Array = np.ndarray[Any, Any]

__all__ = ["TORCH"]

_FIRST = "the layer has its feature axis at 1"
_SWITCH = "gamma and beta have one switch, affine"


class TorchLayer:
    """One layer.

    Parameters
    ----------
    layer : torch.nn.Module
        With or without gamma and beta.
    """

    def __init__(self, layer: Any) -> None:
        self.layer = layer

    def load(self, gamma: Array | None, beta: Array | None, moving_mean: Array, moving_variance: Array) -> None:
        """Set parameters and buffers, and start counting anew."""
        layer = self.layer
        pairs = (
            (layer.weight, gamma),
            (layer.bias, beta),
            (layer.running_mean, moving_mean),
            (layer.running_var, moving_variance),
        )
        for variable, value in pairs:
            if variable is not None and value is not None:
                variable.data.copy_(sent(value))
        layer.num_batches_tracked.zero_()

    def __call__(self, x: Array, training: bool) -> Array:
        """Call in one of the modes."""
        return received(self.layer.train(training)(sent(x)))

    def read(self) -> tuple[Array, Array]:
        """Return the buffers."""
        return received(self.layer.running_mean), received(self.layer.running_var)

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        """Go backward."""
        parameters = {"gamma": self.layer.weight, "beta": self.layer.bias}
        parameters = {name: value for name, value in parameters.items() if value is not None}
        return differentiated(self.layer.train(training), x, cotangent, parameters)

    def hessian_vector_product(self, x: Array, cotangent: Array, tangent: Array) -> Array:
        """Go backward twice."""
        return second(self.layer.train(), x, cotangent, tangent)


class Torch:
    """``torch.nn.BatchNorm1d``, ``2d`` and ``3d``, by the rank of the input."""

    convention = CONVENTION
    layer = TorchLayer
    gaps = {  # noqa: RUF012 - never changed
        "rank 1": "the layers take rank 2 to 5",
        "axis 0": _FIRST,
        "axis -1": _FIRST,
        "inner axis": _FIRST,
        "several axes": _FIRST,
        "center=False": _SWITCH,
        "scale=False": _SWITCH,
    }

    def __call__(self, config: Config) -> TorchLayer:
        """Build a layer; for half precision its parameters are float32."""
        import torch  # noqa: PLC0415 - when a layer is built

        dtype = torch.float64 if config.dtype == "float64" else torch.float32
        options = {"eps": config.epsilon, "momentum": config.momentum, "dtype": dtype}
        return TorchLayer(_kind(len(config.shape))(config.num_features, **options))

    def default(self, shape: tuple[int, ...], dtype: str) -> TorchLayer:
        """Build a layer from the number of features."""
        return TorchLayer(_kind(len(shape))(shape[1]))


def _kind(rank: int) -> Any:
    import torch  # noqa: PLC0415 - when a layer is built

    return {4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}.get(rank, torch.nn.BatchNorm1d)


TORCH = Torch()
