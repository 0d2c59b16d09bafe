"""Masked autoregressive flow: each unit is scaled and shifted by functions of the units before it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import mpmath
import numpy as np

from ._exact import Exact, ObjectArray, elementwise
from ._multiple import settled_array, total_over, wide
from ._parts import Numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["AutoregressiveFlow", "autoregressive_masks", "places"]

MaskedLayer = tuple[Numbers, "Numbers | None", "Numbers | None"]


def places(order: str | Sequence[int], size: int) -> tuple[int, ...]:
    """Return at which place each of some units comes, from 1.

    Parameters
    ----------
    order : {"left-to-right", "right-to-left"} or sequence of int
        Its name, or the places themselves.
    size : int
        D, the number of units.
    """
    if isinstance(order, str):
        straight = tuple(range(1, size + 1))
        return {"left-to-right": straight, "right-to-left": straight[::-1]}[order]
    return tuple(order)


def autoregressive_masks(order: Sequence[int], widths: Sequence[int], params: int) -> list[NDArray[np.bool_]]:
    """Say which units are connected, from the set of inputs that each hidden unit may see.

    Parameters
    ----------
    order : sequence of int
        The places of the D inputs.
    widths : sequence of int
        The number of units of each hidden layer.
    params : int
        P, the number of outputs for each input, side by side.

    Returns
    -------
    list of array, shape (I, O), bool
        One for each layer.

    Notes
    -----
    Unit k = 1, ..., U of a hidden layer may see the input at place p if (p - 1) (U + 1) < k (D - 1), and in any case
    what every unit of the layer before may see, of inputs the first; never the last input. Two units are connected if
    the second may see all that the first may; and a unit with an output if it may see nothing but what comes before.
    """
    size = len(order)
    inputs = [frozenset({unit}) for unit in range(size)]
    layers, least = [inputs], frozenset(unit for unit in range(size) if order[unit] == 1 and size > 1)
    for width in widths:
        sets = [
            least | {unit for unit in range(size) if (order[unit] - 1) * (width + 1) < k * (size - 1)}
            for k in range(1, width + 1)
        ]
        layers.append(sets)
        least = min(sets, key=len)
    before = [frozenset(unit for unit in range(size) if order[unit] < order[own]) for own in range(size)]
    layers.append([seen for seen in before for _ in range(params)])
    return [
        np.asarray([[one <= other for other in second] for one in first], dtype=bool)
        for first, second in pairwise(layers)
    ]


@dataclass(frozen=True, eq=False)
class AutoregressiveFlow:
    """y = x exp(log_scale(y)) + shift(y), where both are what a masked dense network gives for the units before.

    Parameters
    ----------
    order : sequence of int
        The places of the D units, from 1.
    layers : sequence of (array, shape (I, O); array, shape (O,), or None; array, shape (C, O), or None)
        Kernels, of which the masked entries do not count, biases, and kernels of the condition.
    activation : {"relu", "tanh"}
        After each layer but the last.
    outputs : {"both", "shift", "log_scale"}
        What the outputs of a unit are, side by side.
    context : array, shape (*S', C), optional
        The condition.

    Notes
    -----
    Vectors have the shape (*S, D), log-dets the shape (*S).
    """

    order: tuple[int, ...]
    layers: tuple[MaskedLayer, ...]
    activation: Literal["relu", "tanh"]
    outputs: Literal["both", "shift", "log_scale"]
    context: Numbers | None = None

    @cached_property
    def masks(self) -> list[NDArray[np.bool_]]:
        """Which entries of the kernels count."""
        widths = [read.shape[1] for read in (np.asarray(kernel) for kernel, _, _ in self.layers[:-1])]
        return autoregressive_masks(self.order, widths, 2 if self.outputs == "both" else 1)

    @property
    def paths(self) -> NDArray[np.bool_]:
        """To which units a path of connections leads from each, shape (D, D)."""
        size = len(self.order)
        found = np.eye(size, dtype=bool)
        for mask in self.masks:
            found = (found.astype(np.int64) @ mask) > 0
        return np.asarray(found.reshape(size, size, -1).any(axis=-1))

    def _network(self, values: ObjectArray) -> ObjectArray:
        """Compute all outputs, of shape (*S, D, P)."""
        function: Any = {"relu": lambda v: max(v, mpmath.mpf(0)), "tanh": mpmath.tanh}[self.activation]
        size = values.shape[-1]
        for number, ((kernel, bias, conditional), mask) in enumerate(zip(self.layers, self.masks, strict=True)):
            values = elementwise(function, values) if number else values
            values = np.asarray(np.dot(values, np.where(mask, wide(kernel), mpmath.mpf(0))), dtype=object)
            if bias is not None:
                values = np.asarray(values + wide(bias), dtype=object)
            if conditional is not None and self.context is not None:
                values = np.asarray(values + np.dot(wide(self.context), wide(conditional)), dtype=object)
        return values.reshape(*values.shape[:-1], size, -1)

    def _pair(self, values: ObjectArray) -> tuple[ObjectArray, ObjectArray]:
        found = self._network(values)
        none = np.full(found.shape[:-1], mpmath.mpf(0), dtype=object)
        shift = none if self.outputs == "log_scale" else found[..., 0]
        return shift, none if self.outputs == "shift" else found[..., -1]

    def parameters(self, y: Numbers) -> Exact:
        """Compute what the network gives, of shape (*S, D, P)."""
        data = wide(y)
        return settled_array(lambda: self._network(data))

    def inverse(self, y: Numbers) -> Exact:
        """Compute x."""
        data = wide(y)

        def compute() -> ObjectArray:
            shift, log_scale = self._pair(data)
            return np.asarray((data - shift) * elementwise(lambda s: mpmath.exp(-s), log_scale), dtype=object)

        return settled_array(compute)

    def forward(self, x: Numbers) -> Exact:
        """Compute y, one unit after the other."""
        data = wide(x)
        return settled_array(lambda: self._forward(data))

    def _forward(self, data: ObjectArray) -> ObjectArray:
        y = np.full(data.shape, mpmath.mpf(0), dtype=object)
        for place in range(1, data.shape[-1] + 1):
            unit = self.order.index(place)
            shift, log_scale = self._pair(y)
            if shift.shape != y.shape:
                y, data = np.array(np.broadcast_to(y, shift.shape)), np.broadcast_to(data, shift.shape)
            y[..., unit] = data[..., unit] * elementwise(mpmath.exp, log_scale[..., unit]) + shift[..., unit]
        return y

    def forward_log_det(self, x: Numbers) -> Exact:
        """Compute the log-det of the map at x."""
        data = wide(x)
        return settled_array(lambda: total_over(self._pair(self._forward(data))[1], 1))

    def inverse_log_det(self, y: Numbers) -> Exact:
        """Compute the log-det of its inverse at y."""
        data = wide(y)
        return settled_array(lambda: total_over(elementwise(lambda s: -s, self._pair(data)[1]), 1))
