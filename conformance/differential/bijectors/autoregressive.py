"""The rule of masked autoregressive flows: a masked network says how each unit is scaled and shifted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, oracle

from .reference import Point

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .part import Part
    from .reference import Direction, Reference, Shape, Total

    Array = np.ndarray[Any, Any]

__all__ = ["Autoregressive", "masks_of"]

_CLIP = (-4.75, 2.75)  # somewhat less than what the default template keeps the logarithm of the scale between


def _blocks(size: int, widths: Sequence[int], params: int) -> list[Array]:
    """Say which units are connected where the units of each layer lie in D blocks, and the rest behind them.

    A unit of the first layer sees the inputs of blocks before its own, and one of another layer those of its own too.
    What is left over sees all blocks, and nothing sees it.
    """
    found = []
    for number, (before, after) in enumerate(pairwise([size, *widths, size * params])):
        first, second = (np.arange(count) // (count // size) for count in (before, after))
        own = second[np.newaxis, :] - (number == 0)
        found.append((first[:, np.newaxis] <= own) & (first[:, np.newaxis] < size))
    return found


def masks_of(conditioner: dict[str, Any], size: int) -> list[Array]:
    """Return which entries of the kernels count.

    Parameters
    ----------
    conditioner : dict
        Has the ``form`` of the network, its ``layers``, ``order``, and what it ``returns``.
    size : int
        D.

    Returns
    -------
    list of array, bool
    """
    widths = [layer[0].shape[1] for layer in conditioner["layers"][:-1]]
    params = 2 if conditioner["returns"] == "both" else 1
    if conditioner["form"] == "template":
        return _blocks(size, widths, params)
    return list(oracle.autoregressive_masks(conditioner["order"], widths, params))


def _require_unclipped(log_scale: Array) -> None:
    """Let other numbers be drawn where the template clips."""
    if not np.all((log_scale > _CLIP[0]) & (log_scale < _CLIP[1])):
        raise ValueError(f"log_scale must lie inside of the domain {_CLIP}. Got {log_scale.min()}, {log_scale.max()}.")


@dataclass(frozen=True, eq=False)
class _Flow(oracle.AutoregressiveFlow):
    """The oracle's flow with given masks."""

    given: tuple[Array, ...] = ()

    @cached_property
    def masks(self) -> list[Array]:
        """Those that are given."""
        return list(self.given)


class Autoregressive:
    """The units before each one say how it is scaled and shifted."""

    def ranks(self, reference: Reference, part: Part) -> tuple[int, int]:
        """Return 1 twice."""
        return 1, 1

    def shape(self, reference: Reference, part: Part, direction: Direction, shape: Shape) -> Shape:
        """Return the shape."""
        return shape

    def _flow(self, reference: Reference, part: Part) -> _Flow:
        conditioner = part.arguments["conditioner"]

        def make() -> _Flow:
            layers, size = tuple(conditioner["layers"]), part.arguments["size"]
            return _Flow(
                tuple(conditioner["order"]),
                layers,
                conditioner["activation"],
                conditioner["returns"],
                part.arguments["context"],
                tuple(masks_of(conditioner, size)),
            )

        found: _Flow = reference.once((part, "flow"), make)
        return found

    def _parameters(self, reference: Reference, part: Part, y: Point) -> tuple[Any, Any]:
        """Return shift and log_scale with their errors; a condition is more inputs of a layer."""
        flow, r = self._flow(reference, part), reference.arithmetic
        found = reference.uncertain(y)
        for number, ((kernel, bias, conditional), mask) in enumerate(zip(flow.layers, flow.masks, strict=True)):
            if number:
                relu = flow.activation == "relu"
                found = bounds.Uncertain(np.maximum(found.value, 0.0), found.error) if relu else r.tanh(found)
            weights = np.where(mask, np.asarray(kernel, np.float64), 0.0)
            if conditional is not None:
                context = r.given(flow.context)
                front = np.broadcast_shapes(found.value.shape[:-1], context.value.shape[:-1])
                both = zip(found, context, strict=True)
                spread = ([np.broadcast_to(each, (*front, each.shape[-1])) for each in pair] for pair in both)
                found = bounds.Uncertain(*(np.concatenate(pair, axis=-1) for pair in spread))
                weights = np.concatenate([weights, np.asarray(conditional, np.float64)])
            found = bounds.dense_network(found, [(weights, np.asarray(bias, np.float64))], reference.form)
        exact = np.asarray(reference.once((part, "parameters", y.exact), lambda: flow.parameters(y.exact)).to_float())
        if part.arguments["conditioner"]["form"] == "template" and flow.outputs == "both":
            _require_unclipped(exact[..., 1])
        outputs = bounds.Uncertain(exact, found.error.reshape(exact.shape))
        shift, log_scale = (bounds.Uncertain(*(each[..., place] for each in outputs)) for place in (0, -1))
        return (
            None if flow.outputs == "log_scale" else shift,
            None if flow.outputs == "shift" else log_scale,
        )

    def _followed(self, reference: Reference, part: Part, direction: Direction, point: Point) -> tuple[Point, Any]:
        """Map a point, and return the log_scale that it is mapped by.

        Forward settles the units in their order: what is computed of the others has weights of 0.
        """
        flow = self._flow(reference, part)
        exact = reference.once((part, direction, point.exact), lambda: getattr(flow, direction)(point.exact))
        given = reference.uncertain(point)
        if direction == "inverse":
            shift, log_scale = self._parameters(reference, part, point)
            bound = bounds.coupled(given, shift, log_scale, reference.form, inverse=True)
            return Point(exact, bound.error), log_scale
        error = np.zeros(exact.shape)
        for unit in np.argsort(flow.order):
            shift, log_scale = self._parameters(reference, part, Point(exact, error))
            error[..., unit] = bounds.coupled(given, shift, log_scale, reference.form).error[..., unit]
        return Point(exact, error), self._parameters(reference, part, Point(exact, error))[1]

    def mapped(self, reference: Reference, part: Part, direction: Direction, point: Point) -> Point:
        """Take the oracle's value, and the bound of a coupling for each unit."""
        return self._followed(reference, part, direction, point)[0]

    def log_det(self, reference: Reference, part: Part, direction: Direction, point: Point, ndims: int) -> Total:
        """Sum log_scale."""
        value, log_scale = self._followed(reference, part, direction, point)
        flow, method = self._flow(reference, part), f"{direction}_log_det"
        exact = reference.once((part, method, point.exact), lambda: getattr(flow, method)(point.exact))
        bound = bounds.coupled_log_det(log_scale, value.exact.shape, reference.grade, reference.form)
        return reference.total(Point(exact, np.asarray(bound.error)), ndims - 1)
