"""torch.nn.BatchNorm1d, 2d and 3d."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bnspec.conventions import TORCH as CONVENTION
from bnspec.conventions import TORCH_CUMULATIVE
from bnspec_conformance.bounds import NAIVE, Algorithm

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from bnspec.conventions import Convention
    from differential.draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["TORCH"]

_GRADE = Algorithm("two passes, folded output", NAIVE.additions, "perturbed", folded="output")
_KINDS = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}


class _Layer:
    """One layer, made and loaded."""

    def __init__(self, draw: Draw) -> None:
        dtype = getattr(torch, draw.dtype)
        self.format = torch.contiguous_format
        if draw.options["memory"] == "channels-last":
            self.format = torch.channels_last if draw.options["rank"] == 4 else torch.channels_last_3d
        affine = draw.center or draw.scale
        self.layer: Any = _KINDS[draw.options["rank"]](
            draw.shapes[-1][1], eps=draw.epsilon, momentum=draw.take, affine=affine, dtype=dtype
        )
        named = {"weight": draw.gamma, "bias": draw.beta}
        if not draw.fresh:
            named |= {"running_mean": draw.moving_mean, "running_var": draw.moving_variance}
        values = {name: torch.tensor(value) for name, value in named.items() if value is not None}
        self.layer.load_state_dict(values, strict=False)

    def _send(self, x: Array) -> Any:
        return torch.tensor(x).to(memory_format=self.format)

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Call in training."""
        found: Array = self.layer.train()(self._send(x)).detach().numpy()
        return found

    def evaluate(self, x: Array) -> Array:
        """Call in evaluation."""
        found: Array = self.layer.eval()(self._send(x)).detach().numpy()
        return found

    def read(self) -> dict[str, Array]:
        """Return the averages."""
        layer = self.layer
        return {"moving_mean": layer.running_mean.numpy().copy(), "moving_variance": layer.running_var.numpy().copy()}

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Go backward."""
        given = self._send(x).requires_grad_()
        self.layer.train(training)(given).backward(self._send(cotangent))
        found = {"x": given.grad.numpy()}
        if self.layer.affine:
            found |= {"gamma": self.layer.weight.grad.numpy(), "beta": self.layer.bias.grad.numpy()}
        return found


class Torch:
    """``torch.nn.BatchNorm1d``, ``2d`` and ``3d`` on the CPU."""

    version = f"torch {torch.__version__.partition('+')[0]}"
    algorithm = "two passes, the mean folded into the offset of the output; the derivative centres"
    choices: Mapping[str, tuple[Any, ...]] = {
        "axis": (1,),
        "momentum": ("default", "drawn", "drawn", "cumulative", "keep-all", "take-all"),
        "memory": ("contiguous", "contiguous", "channels-last"),
    }

    def mend(self, options: dict[str, Any], random: np.random.Generator) -> None:
        """Gamma and beta have one switch; the other memory layout is that of images."""
        options["scale"] = options["center"]
        if options["rank"] < 4:
            options["memory"] = "contiguous"

    def convention(self, options: Mapping[str, Any]) -> Convention:
        """Return TORCH, or that of momentum=None."""
        return TORCH_CUMULATIVE if options["momentum"] == "cumulative" else CONVENTION

    def grade(self, draw: Draw) -> Algorithm:
        """Return that of the CPU kernels."""
        return _GRADE

    def __call__(self, draw: Draw) -> _Layer:
        """Make a layer."""
        return _Layer(draw)


TORCH = Torch()
