"""Descriptions of bijectors: data alone, from which bnspec's, the exact one and the mutants are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from bnspec.conventions import TF_LAYERS, Convention

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = [
    "Autoregressive",
    "Blocks",
    "Chained",
    "Conditioner",
    "Coupled",
    "Elementwise",
    "Inlined",
    "Inverted",
    "Joint",
    "Normalized",
    "Part",
    "Permuted",
    "Reshaped",
    "SplineCoupled",
    "Splined",
    "Squeezed",
    "apart",
    "normalizations",
    "ranks",
]


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A map of each element by itself; `name` is that of the class, in bnspec and in the oracle."""

    name: str
    parameters: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Inlined:
    """A map of each element that is given as functions: both directions, and the log-det of one of them."""

    part: Elementwise


@dataclass(frozen=True, eq=False)
class Inverted:
    """A part with its directions exchanged."""

    part: Part


@dataclass(frozen=True, eq=False)
class Chained:
    """Parts one after the other, the last first."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Permuted:
    """y[i] = x[permutation[i]] along an axis."""

    permutation: tuple[int, ...]
    axis: int = -1


@dataclass(frozen=True, eq=False)
class Reshaped:
    """The elements of an event in another shape, in row-major order."""

    event_shape_out: tuple[int, ...]
    event_shape_in: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Squeezed:
    """The pixels of each square of an image as channels."""

    height: int
    width: int
    channels: int
    factor: int = 2


@dataclass(frozen=True, eq=False)
class Splined:
    """A rational quadratic spline of each element; the parameters are those of bnspec's."""

    bin_widths: Array
    bin_heights: Array
    knot_slopes: Array
    range_min: Array


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of the last axis, each by a part of its own."""

    parts: tuple[Part, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Joint:
    """A tuple of arrays, each by a part of its own."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, eq=False)
class Normalized:
    """Batch normalization, whose inverse normalizes.

    Attributes
    ----------
    axis : tuple of int
        The feature axes, counted from the end.
    moving_mean, moving_variance, gamma, beta : array, parameter shape
        As of the layer; gamma and beta may be absent.
    epsilon, momentum : float
        Dyadic, so that they are what they are in every format; momentum multiplies the old average.
    training : bool
        Whether the inverse takes the statistics of the batch.
    trainable : bool
        Of the layer; what False means is the convention's.
    adjustment : tuple of array, optional
        Scale and bias of training.
    convention : Convention
        Of the layer.
    """

    axis: tuple[int, ...]
    moving_mean: Array
    moving_variance: Array
    gamma: Array | None
    beta: Array | None
    epsilon: float = 0.125
    momentum: float = 0.75
    training: bool = False
    trainable: bool = True
    adjustment: tuple[Array, Array] | None = None
    convention: Convention = TF_LAYERS

    @property
    def by_batch(self) -> bool:
        """Whether the statistics of the inverse are the batch's."""
        return self.training and (self.trainable or self.convention.freeze != "evaluation")

    @property
    def moves(self) -> bool:
        """Whether the inverse moves the averages."""
        return self.by_batch and (self.trainable or self.convention.freeze == "parameters")


@dataclass(frozen=True, eq=False)
class Conditioner:
    """A dense network of given weights that gives a shift and the logarithm of a scale.

    Attributes
    ----------
    layers : tuple of (array, shape (I, O); array, shape (O,))
        Kernels and biases. The last layer gives all that `outputs` names, side by side.
    activation : {"relu", "tanh"}
        After each layer but the last.
    outputs : {"both", "shift", "log_scale"}
        What there is.
    network : bool
        Whether it is bnspec's own network with these weights, and not a function of the user's.
    conditioned : bool
        Whether the function adds its condition ``context`` to the shift.
    """

    layers: tuple[tuple[Array, Array], ...]
    activation: Literal["relu", "tanh"] = "tanh"
    outputs: Literal["both", "shift", "log_scale"] = "both"
    network: bool = False
    conditioned: bool = False


@dataclass(frozen=True, eq=False)
class Coupled:
    """Real NVP.

    Attributes
    ----------
    size : int
        D, the size of an event.
    conditioner : Conditioner
        For the units that stay.
    num_masked : int or None
        As of the oracle.
    fraction_masked : float or None
        In its place.
    through_bijector : bool
        Whether the function returns a bijector.
    """

    size: int
    conditioner: Conditioner
    num_masked: int | None = None
    fraction_masked: float | None = None
    through_bijector: bool = False


@dataclass(frozen=True, eq=False)
class SplineCoupled:
    """Real NVP through splines: a dense network of the units that stay gives the knots of each of the others.

    Attributes
    ----------
    size : int
        D, the size of an event.
    layers : tuple of (array, shape (I, O); array, shape (O,))
        Kernels and biases of the network, with tanh between. For each unit, the last gives K numbers for the widths,
        K for the heights, and K - 1 for the slopes.
    bins : int
        K.
    num_masked : int
        As of the oracle.
    interval, range_min, least_size, least_slope : float
        Dyadic: the sum of the sizes, where the range starts, and what is added to sizes and slopes.
    """

    size: int
    layers: tuple[tuple[Array, Array], ...]
    bins: int
    num_masked: int
    interval: float = 4.0
    range_min: float = -1.75
    least_size: float = 0.0625
    least_slope: float = 0.125


@dataclass(frozen=True, eq=False)
class Autoregressive:
    """Masked autoregressive flow by bnspec's own network with given weights.

    Attributes
    ----------
    size : int
        D, the size of an event.
    layers : tuple of (array, shape (I, O); array, shape (O,); array, shape (C, O), or None)
        Kernels, masked entries included, biases, and the kernels of the condition ``context``.
    order : {"left-to-right", "right-to-left"} or tuple of int
        Which unit is the first, or the place of each.
    activation : {"relu", "tanh"}
        After each layer but the last.
    outputs : {"both", "shift", "log_scale"}
        What there is; the outputs of a unit lie side by side.
    through_bijector : bool
        Whether the function returns a bijector.
    """

    size: int
    layers: tuple[tuple[Array, Array, Array | None], ...]
    order: str | tuple[int, ...] = "left-to-right"
    activation: Literal["relu", "tanh"] = "tanh"
    outputs: Literal["both", "shift", "log_scale"] = "both"
    through_bijector: bool = False

    @property
    def conditioned(self) -> int:
        """How many of the layers take the condition."""
        return sum(conditional is not None for _, _, conditional in self.layers)


Part: TypeAlias = (
    Elementwise
    | Inlined
    | Inverted
    | Chained
    | Permuted
    | Reshaped
    | Squeezed
    | Splined
    | SplineCoupled
    | Blocks
    | Joint
    | Normalized
    | Coupled
    | Autoregressive
)
"""Any of them."""


def ranks(part: Part) -> tuple[int, int]:
    """Return the ranks of the smallest event before and after."""
    if isinstance(part, Inlined):
        return ranks(part.part)
    if isinstance(part, Inverted):
        before, after = ranks(part.part)
        return after, before
    if isinstance(part, Chained):
        need = shift = 0
        for each in reversed(part.parts):
            before, after = ranks(each)
            need = max(need, before - shift)
            shift += after - before
        return need, need + shift
    if isinstance(part, Reshaped):
        return len(part.event_shape_in), len(part.event_shape_out)
    if isinstance(part, Elementwise):
        least = 1 if part.name == "ScaleMatvecDiag" else 0
    elif isinstance(part, Splined):
        least = 0
    elif isinstance(part, Squeezed):
        least = 3
    elif isinstance(part, Joint):
        least = 0  # beyond that of each part
    elif isinstance(part, Permuted):
        least = -part.axis
    elif isinstance(part, Normalized):
        least = len(part.axis)
    else:
        least = 1
    return least, least


def apart(part: Part) -> tuple[Part, ...] | None:
    """Return what maps each array of a tuple by itself; None of a part that maps one array."""
    if isinstance(part, Joint):
        return part.parts
    if isinstance(part, Inverted):
        inner = apart(part.part)
        return None if inner is None else tuple(Inverted(each) for each in inner)
    columns = [apart(each) for each in part.parts] if isinstance(part, Chained) else []
    if not columns or columns[0] is None:
        return None
    return tuple(Chained(each) for each in zip(*(column or () for column in columns), strict=True))


def normalizations(part: Part) -> list[Normalized]:
    """List the batch normalizations among the parts, in order."""
    if isinstance(part, Normalized):
        return [part]
    if isinstance(part, Inverted):
        return normalizations(part.part)
    inner = part.parts if isinstance(part, Chained | Blocks | Joint) else ()
    return [found for each in inner for found in normalizations(each)]
