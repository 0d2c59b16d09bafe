"""Sound autoregressive flows as people write them, in NumPy."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

Array = Any  # as in _sound_flow.py

__all__ = ["SoundAutoregressive"]


class SoundAutoregressive:
    """What :class:`SoundFlow` has for autoregressive flows."""

    context: Array
    dtype: Any

    def total(self, terms: Array, ndims: int) -> Array:
        """Sum over events."""
        raise NotImplementedError

    def autoregressive(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Scale and shift each unit by functions of those before it."""
        if direction == "inverse":
            shift, log_scale = self.made(part, x)
            return (x - shift) * np.exp(-log_scale), self.made_log_det(x, -log_scale, ndims)
        y, log_scale = self.passed(part, x)
        return y, self.made_log_det(x, log_scale, ndims)

    def passed(self, part: Any, x: Array) -> tuple[Array, Array]:
        """Map all units at once, as often as there are units; return the last log_scale, too."""
        y = np.zeros_like(x)
        for _ in range(self.passes(part)):
            shift, log_scale = self.made(part, y)
            y = x * np.exp(log_scale) + shift
        return y, log_scale

    def passes(self, part: Any) -> int:
        """Say how often the network runs."""
        return int(part.size)

    def made_log_det(self, x: Array, log_scale: Array, ndims: int) -> Array:
        """Sum log_scale over events."""
        return self.total(np.broadcast_to(log_scale, x.shape).real, ndims)

    def made(self, part: Any, y: Array) -> tuple[Array, Array]:
        """Run the network: the shift, and the logarithm of the scale."""
        masks = self.made_masks(part)
        for number, ((kernel, bias, conditional), mask) in enumerate(zip(part.layers, masks, strict=True)):
            if number:
                y = np.tanh(y) if part.activation == "tanh" else np.where(y.real > 0, y, 0)
            y = y @ self.weights(kernel, mask) + bias
            if conditional is not None:
                y = self.with_condition(number, y, conditional)
        zero = self.dtype.type(0)
        if part.outputs == "both":
            return self.columns(part, y)
        return (y, zero) if part.outputs == "shift" else (zero, y)

    def columns(self, part: Any, out: Array) -> tuple[Array, Array]:
        """Tell the shifts from the logarithms of scales."""
        return out[..., ::2], out[..., 1::2]

    def weights(self, kernel: Array, mask: Array) -> Array:
        """Leave out what is masked."""
        return kernel * mask.astype(kernel.dtype)

    def with_condition(self, number: int, out: Array, conditional: Array) -> Array:
        """Add the condition."""
        return out + self.context @ conditional

    def places(self, part: Any) -> Array:
        """Return the degrees of the inputs."""
        order = np.arange(1, part.size + 1)
        return {"left-to-right": order, "right-to-left": order[::-1]}.get(part.order, np.asarray(part.order))

    def made_masks(self, part: Any) -> list[Array]:
        """Compare degrees."""
        degrees = [self.places(part)]
        for kernel, _, _ in part.layers[:-1]:
            units = kernel.shape[1]
            spread = np.ceil(np.arange(1, units + 1) * (part.size - 1) / (units + 1)).astype(int)
            degrees.append(np.maximum(min(degrees[-1].min(), part.size - 1), spread))
        last = np.repeat(degrees[0], 2 if part.outputs == "both" else 1)
        hidden = [self.hidden_mask(before[:, None], after) for before, after in pairwise(degrees)]
        return [*hidden, self.output_mask(degrees[-1][:, None], last)]

    def hidden_mask(self, before: Array, after: Array) -> Array:
        """Let a unit see those of its degree."""
        return before <= after

    def output_mask(self, before: Array, after: Array) -> Array:
        """Let an output see units below its degree."""
        return before < after
