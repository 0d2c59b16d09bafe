"""Sound bijectors and densities as people write them, in NumPy. Every mutant changes one line of it."""

from __future__ import annotations

from copy import copy
from math import log, pi
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bnspec.arrays import random_key, random_normal
from bnspec.registry import backend
from bnspec_conformance.flows import _parts as parts

from ._sound_autoregressive import SoundAutoregressive
from ._sound_spline import SoundSpline

if TYPE_CHECKING:
    from bnspec_conformance.flows import DensityEntry, Entry

    Array = Any  # an ndarray; arithmetic on a typed one is Any to mypy in half of the cases

__all__ = ["SoundFlow"]


def softplus(x: Array) -> Array:
    """Compute log(1 + exp(x)); of complex numbers by the formula itself, for derivatives."""
    if np.iscomplexobj(x):
        return np.log(1.0 + np.exp(x))
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Array) -> Array:
    """Compute 1 / (1 + exp(-x))."""
    if np.iscomplexobj(x):
        return 1.0 / (1.0 + np.exp(-x))
    t = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, t) / (1 + t)


class SoundFlow(SoundSpline, SoundAutoregressive):
    """An adapter of flows, and its own flow and density.

    Parameters
    ----------
    entry : Entry or DensityEntry
        What is asked for.
    """

    def __init__(self, entry: Entry | DensityEntry) -> None:
        self.entry: Any = entry
        self.dtype = np.dtype("float64" if entry.dtype == "float64" else "float32")
        self.context: Array = getattr(entry, "context", None)
        self.waiting: dict[Any, Any] = {}
        root = () if entry.part is None else (entry.part,)
        self.normalizations = [found for part in root for found in parts.normalizations(part)]
        self.state: dict[Any, Any] = {
            part: (part.moving_mean.copy(), part.moving_variance.copy()) for part in self.normalizations
        }

    @classmethod
    def bijector(cls, entry: Entry) -> Self:
        """Build a flow."""
        return cls(entry)

    @classmethod
    def density(cls, entry: DensityEntry) -> Self:
        """Build a density."""
        return cls(entry)

    # The methods of a flow.

    def forward(self, x: Array) -> Array:
        """Map."""
        return self.narrow(self.root("forward", x)[0])

    def inverse(self, y: Array) -> Array:
        """Map back, and let a batch move the averages."""
        found = self.root("inverse", y)[0]
        self.settle()
        return self.narrow(found)

    def forward_log_det(self, x: Array, event_ndims: int | None = None) -> Array:
        """Return the log-det of forward; of what has two inverses there is none."""
        if getattr(self.entry.part, "name", "") == "AbsoluteValue":
            raise NotImplementedError("a map must be injective to have a log-det of forward.")
        return self.narrow(self.root("forward", x, event_ndims)[1])

    def inverse_log_det(self, y: Array, event_ndims: int | None = None) -> Array:
        """Return the log-det of inverse."""
        return self.narrow(self.root("inverse", y, event_ndims)[1])

    def forward_and_log_det(self, x: Array, event_ndims: int | None = None) -> tuple[Array, Array]:
        """Return both."""
        value, log_det = self.root("forward", x, event_ndims)
        return self.narrow(value), self.narrow(log_det)

    def inverse_and_log_det(self, y: Array, event_ndims: int | None = None) -> tuple[Array, Array]:
        """Return both, and let a batch move the averages."""
        value, log_det = self.root("inverse", y, event_ndims)
        self.settle()
        return self.narrow(value), self.narrow(log_det)

    def forward_event_shape(self, shape: Any) -> Any:
        """Return the shape after."""
        return self.shaped(self.entry.part, "forward", shape)

    def inverse_event_shape(self, shape: Any) -> Any:
        """Return the shape before."""
        return self.shaped(self.entry.part, "inverse", shape)

    def read(self) -> list[tuple[Array, Array]]:
        """Return copies of the averages."""
        return [tuple(part.copy() for part in self.state[one]) for one in self.normalizations]

    def compile(self) -> Self:
        """Return the same; NumPy has nothing to compile."""
        return copy(self)

    def jacobian(self, x: Array, event_ndims: int) -> Array:
        """Differentiate by complex steps, which cancel nothing."""
        event = x.shape[x.ndim - event_ndims :]
        flat = (*x.shape[: x.ndim - event_ndims], int(np.prod(event)))
        columns = []
        for number in range(flat[-1]):
            basis = np.zeros(flat[-1], dtype=complex)
            basis[number] = 1e-30j
            moved = self.run(self.entry.part, "forward", x.astype(np.float64) + basis.reshape(event), event_ndims)[0]
            columns.append(moved.reshape(flat).imag / 1e-30)
        return np.stack(columns, axis=-1)

    # The methods of a density.

    def log_prob(self, value: Array) -> Array:
        """Return the log-density, and let a batch move the averages."""
        value = value.astype(self.dtype)
        found = self.log_density(value)
        self.settle()
        return self.narrow(found)

    def log_density(self, value: Array) -> Array:
        """Add the log-density of the base and the log-det."""
        x, log_det = self.through("inverse", value)
        return self.base_log_prob(x) + log_det

    def prob(self, value: Array) -> Array:
        """Return the density."""
        return np.exp(self.log_prob(value))

    def sample(self, shape: tuple[int, ...], seed: int) -> Array:
        """Draw."""
        return self.narrow(self.through("forward", self.base_draws(shape, seed))[0])

    def sample_and_log_prob(self, shape: tuple[int, ...], seed: int) -> tuple[Array, Array]:
        """Draw, and return the density there, by the way that the draws took."""
        x = self.base_draws(shape, seed)
        y, log_det = self.through("forward", x)
        return self.narrow(y), self.narrow(self.base_log_prob(x) - log_det)

    def through(self, direction: str, x: Array) -> tuple[Array, Array]:
        """Transform, and return the log-det of events."""
        if self.entry.part is None:
            return x, np.zeros(x.shape[: x.ndim - self.entry.event_ndims], x.dtype)
        return self.run(self.entry.part, direction, x, self.entry.event_ndims)

    def base_log_prob(self, x: Array) -> Array:
        """Return the log-density of the normal variables."""
        scale = np.abs(self.entry.scale)
        z = (x - self.entry.loc) / scale
        half = self.dtype.type(0.5 * log(2.0 * pi))
        return self.total(-z * z / 2 - np.log(scale) - half, self.entry.event_ndims)

    def base_draws(self, shape: tuple[int, ...], seed: int) -> Array:
        """Draw loc + scale z."""
        return self.entry.loc + self.entry.scale * self.normals(shape, seed)

    def normals(self, shape: tuple[int, ...], seed: int) -> Array:
        """Draw standard normal numbers."""
        xp, event = backend("numpy").namespace(), self.entry.event_shape
        key = random_key(seed, xp=xp)
        if self.entry.base == "Sample":
            return np.moveaxis(random_normal(key, (*event, *shape), self.dtype, xp), 0, -1)
        return random_normal(key, (*shape, *self.entry.batch_shape, *event), self.dtype, xp)

    # One part after the other.

    def root(self, direction: str, x: Array, event_ndims: int | None = None) -> tuple[Array, Array]:
        """Run the whole on an input."""
        least = parts.ranks(self.entry.part)[direction == "inverse"]
        wide = tuple(one.astype(self.dtype) for one in x) if isinstance(x, tuple) else x.astype(self.dtype)
        return self.run(self.entry.part, direction, wide, least if event_ndims is None else event_ndims)

    def run(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Run a part: the value, and the log-det of events of a rank."""
        found: tuple[Array, Array] = getattr(self, type(part).__name__.lower())(part, direction, x, ndims)
        return found

    def total(self, terms: Array, ndims: int) -> Array:
        """Sum over events."""
        return terms.sum(axis=tuple(range(terms.ndim - ndims, terms.ndim))) if ndims else terms

    def elementwise(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Map each element."""
        values = self.parameters(part)
        if part.name == "AbsoluteValue" and direction == "inverse":
            return self.preimages(x)
        y = getattr(self, f"{part.name.lower()}_{direction}")(x, **values)
        source = x if direction == "forward" else y
        terms = self.log_slope(part.name, source, values)
        shape = np.broadcast_shapes(x.shape, *(np.shape(value) for value in values.values()))
        if part.name == "Log" and direction == "inverse":
            terms = -x  # without the way through exp
        full = np.broadcast_to(terms if direction == "forward" else -terms, shape)
        return y, self.event_total(part, full, ndims)

    def event_total(self, part: Any, terms: Array, ndims: int) -> Array:
        """Sum the log-dets of elements over events."""
        return self.total(terms, ndims)

    def parameters(self, part: Any) -> dict[str, Array]:
        """Take parameters in the dtype of the computation."""
        return {name: value.astype(self.dtype) for name, value in part.parameters.items()}

    def log_slope(self, name: str, x: Array, values: dict[str, Array]) -> Array:
        """Return log |dy/dx| of each element at x."""
        found: Array = getattr(self, f"{name.lower()}_log_slope")(x, **values)
        return found

    def preimages(self, y: Array) -> tuple[Any, Any]:
        """Return both preimages, and their log-dets."""
        return (-y, y), (np.zeros_like(y), np.zeros_like(y))

    def inlined(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Map by functions."""
        return self.run(part.part, direction, x, ndims)

    def inverted(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Exchange the directions."""
        return self.run(part.part, "inverse" if direction == "forward" else "forward", x, ndims)

    def order(self, part: Any, direction: str) -> Any:
        """Return the parts of a chain in the order in which they run."""
        return part.parts if direction == "inverse" else part.parts[::-1]

    def chained(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Run one part after the other."""
        found: Any = np.zeros(x.shape[: x.ndim - ndims], x.real.dtype)
        for one in self.order(part, direction):
            x, log_det = self.run(one, direction, x, ndims)
            before, after = parts.ranks(one)
            ndims += after - before if direction == "forward" else before - after
            found = self.joined(found, log_det)
        return x, found

    def joined(self, one: Array, other: Array) -> Array:
        """Add the log-dets of two parts."""
        return one + other

    def joint(self, part: Any, direction: str, x: Any, ndims: int) -> tuple[Any, Array]:
        """Map each array."""
        pairs = [self.run(one, direction, each, parts.ranks(one)[0]) for one, each in zip(part.parts, x, strict=True)]
        return tuple(value for value, _ in pairs), sum(log_det for _, log_det in pairs)

    def permutation(self, part: Any, direction: str) -> Any:
        """Return which element goes where."""
        return part.permutation if direction == "forward" else np.argsort(part.permutation)

    def permuted(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Change the order along an axis."""
        none = np.zeros(x.shape[: x.ndim - ndims], x.real.dtype)
        return np.take(x, self.permutation(part, direction), axis=part.axis), none

    def reshaped(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Lay events out anew."""
        old, new = part.event_shape_in, part.event_shape_out
        if direction == "inverse":
            old, new = new, old
        none = np.zeros(x.shape[: x.ndim - ndims], x.real.dtype)
        return self.laid_out(x, (*x.shape[: x.ndim - len(old)], *new)), none

    def laid_out(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Reshape in row-major order."""
        return x.reshape(shape)

    def blocks(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Map each block."""
        pieces = np.split(x, np.cumsum(part.sizes)[:-1], axis=-1)
        pairs = [self.run(one, direction, piece, ndims) for one, piece in zip(part.parts, pieces, strict=True)]
        return np.concatenate([value for value, _ in pairs], axis=-1), self.of_blocks([one for _, one in pairs])

    def of_blocks(self, log_dets: list[Array]) -> Array:
        """Add the log-dets of blocks."""
        return sum(log_dets)

    def shaped(self, part: Any, direction: str, shape: Any) -> Any:
        """Tell the shape after a part."""
        if isinstance(part, parts.Inverted):
            return self.shaped(part.part, "inverse" if direction == "forward" else "forward", shape)
        if isinstance(part, parts.Chained):
            for one in self.order(part, direction):
                shape = self.shaped(one, direction, shape)
            return shape
        if isinstance(part, parts.Reshaped):
            old, new = part.event_shape_in, part.event_shape_out
            if direction == "inverse":
                old, new = new, old
            return (*shape[: len(shape) - len(old)], *new)
        if isinstance(part, parts.Squeezed):
            pair = (
                (part.height, part.width, part.channels),
                (
                    part.height // part.factor,
                    part.width // part.factor,
                    part.channels * part.factor**2,
                ),
            )
            return (*shape[:-3], *pair[direction == "forward"])
        return shape

    def narrow(self, value: Any) -> Any:
        """Round to the dtype of the entry."""
        if isinstance(value, tuple):
            return tuple(self.narrow(one) for one in value)
        return np.asarray(value).astype(self.entry.x[0].dtype if hasattr(self.entry, "x") else self.dtype)

    # Maps of each element.

    def identity_forward(self, x: Array) -> Array:
        return x

    identity_inverse = identity_forward

    def identity_log_slope(self, x: Array) -> Array:
        return np.zeros_like(x.real)

    def absolutevalue_forward(self, x: Array) -> Array:
        return np.abs(x)

    absolutevalue_log_slope = identity_log_slope

    def shift_forward(self, x: Array, shift: Array) -> Array:
        return x + shift

    def shift_inverse(self, y: Array, shift: Array) -> Array:
        return y - shift

    def shift_log_slope(self, x: Array, shift: Array) -> Array:
        return np.zeros_like(x.real)

    def scale_forward(self, x: Array, scale: Array = None, log_scale: Array = None) -> Array:
        return x * (np.exp(log_scale) if scale is None else scale)

    def scale_inverse(self, y: Array, scale: Array = None, log_scale: Array = None) -> Array:
        return y * np.exp(-log_scale) if scale is None else y / scale

    def scale_log_slope(self, x: Array, scale: Array = None, log_scale: Array = None) -> Array:
        return log_scale if scale is None else np.log(np.abs(scale))

    def scalematvecdiag_forward(self, x: Array, scale_diag: Array) -> Array:
        return x * scale_diag

    def scalematvecdiag_inverse(self, y: Array, scale_diag: Array) -> Array:
        return y / scale_diag

    def scalematvecdiag_log_slope(self, x: Array, scale_diag: Array) -> Array:
        return np.log(np.abs(scale_diag))

    def exp_forward(self, x: Array) -> Array:
        return np.exp(x)

    def exp_inverse(self, y: Array) -> Array:
        return np.log(y)

    def exp_log_slope(self, x: Array) -> Array:
        return x.real

    def log_forward(self, x: Array) -> Array:
        return np.log(x)

    def log_inverse(self, y: Array) -> Array:
        return np.exp(y)

    def log_log_slope(self, x: Array) -> Array:
        return -np.log(x.real)

    def reciprocal_forward(self, x: Array) -> Array:
        return 1 / x

    reciprocal_inverse = reciprocal_forward

    def reciprocal_log_slope(self, x: Array) -> Array:
        return -2 * np.log(np.abs(x))

    def sigmoid_forward(self, x: Array, low: Array = None, high: Array = None) -> Array:
        return sigmoid(x) if low is None else low + (high - low) * sigmoid(x)

    def sigmoid_inverse(self, y: Array, low: Array = None, high: Array = None) -> Array:
        z = y if low is None else (y - low) / (high - low)
        return np.log(z) - np.log1p(-z)

    def sigmoid_log_slope(self, x: Array, low: Array = None, high: Array = None) -> Array:
        found = -softplus(x.real) - softplus(-x.real)
        return found if low is None else np.log(high - low) + found

    def softplus_forward(self, x: Array, hinge_softness: Array = None, low: Array = None) -> Array:
        found = softplus(x) if hinge_softness is None else hinge_softness * softplus(x / hinge_softness)
        return found if low is None else found + low

    def softplus_inverse(self, y: Array, hinge_softness: Array = None, low: Array = None) -> Array:
        z = y if low is None else y - low
        z = z if hinge_softness is None else z / hinge_softness
        x = z + np.log(-np.expm1(-z))
        return x if hinge_softness is None else hinge_softness * x

    def softplus_log_slope(self, x: Array, hinge_softness: Array = None, low: Array = None) -> Array:
        return -softplus(-(x.real if hinge_softness is None else x.real / hinge_softness))

    def tanh_forward(self, x: Array) -> Array:
        return np.tanh(x)

    def tanh_inverse(self, y: Array) -> Array:
        return np.arctanh(y)

    def tanh_log_slope(self, x: Array) -> Array:
        return 2 * (self.dtype.type(log(2.0)) - x.real - softplus(-2 * x.real))

    # Batch normalization.

    def normalized(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Normalize in the inverse direction, by the batch in training; and undo it by the averages."""
        axis = tuple(place % x.ndim for place in part.axis)
        self.kept = tuple(size if place in axis else 1 for place, size in enumerate(x.shape))
        self.others = tuple(place for place in range(x.ndim) if place not in axis)
        gamma, beta = (None if one is None else one.reshape(self.kept) for one in (part.gamma, part.beta))
        gamma = np.ones(self.kept, self.dtype) if gamma is None else gamma
        beta = np.zeros(self.kept, self.dtype) if beta is None else beta
        mean, variance = (one.reshape(self.kept) for one in self.state[part])
        epsilon = self.dtype.type(part.epsilon)
        if direction == "forward":
            y = (x - beta) * (np.sqrt(variance + epsilon) / gamma) + mean
            return y, -self.log_det(part, x, gamma, variance, epsilon, None, ndims)
        if part.by_batch:
            mean, variance = self.statistics(x)
            self.entered(part, x, mean, variance)
        pair = part.adjustment if part.by_batch else None
        unit = (x - mean) / np.sqrt(variance + epsilon)
        if pair is not None:
            unit = unit * pair[0] + pair[1]
        own = self.log_det_statistics(part, variance)
        return unit * gamma + beta, self.log_det(part, x, gamma, own, epsilon, pair, ndims)

    def statistics(self, x: Array) -> tuple[Array, Array]:
        """Return mean and population variance."""
        mean = x.mean(axis=self.others, keepdims=True)
        return mean, ((x - mean) ** 2).mean(axis=self.others, keepdims=True)

    def log_det_statistics(self, part: Any, variance: Array) -> Array:
        """Return the variance of the log-det: the one that normalizes."""
        return variance

    def log_det(self, part: Any, x: Array, gamma: Array, variance: Array, epsilon: Any, pair: Any, ndims: int) -> Array:
        """Return log |gamma| + log |a| - log(variance + epsilon) / 2, summed over events."""
        terms = self.log_gamma(part, gamma) - self.log_variance(variance, epsilon)
        if pair is not None:
            terms = terms + self.log_adjustment(pair[0])
        return self.spread_total(terms, x.shape, ndims)

    def log_gamma(self, part: Any, gamma: Array) -> Array:
        return np.log(np.abs(gamma))

    def log_variance(self, variance: Array, epsilon: Any) -> Array:
        return np.log(variance + epsilon) / 2

    def log_adjustment(self, scale: Array) -> Array:
        return np.log(np.abs(scale))

    def spread_total(self, terms: Array, shape: tuple[int, ...], ndims: int) -> Array:
        """Count what is equal along an axis as often as that is long."""
        return self.total(np.broadcast_to(terms, shape), ndims)

    def entered(self, part: Any, x: Array, mean: Array, variance: Array) -> None:
        """Keep what is to enter the averages."""
        if not part.moves:
            return
        self.waiting = {**self.waiting, part: (x, mean, variance)}

    def settle(self) -> None:
        """Move the averages."""
        for part, (x, mean, variance) in self.waiting.items():
            self.move(part, x, mean, variance)
        self.waiting = {}

    def move(self, part: Any, x: Array, mean: Array, variance: Array) -> None:
        """Move the averages of one batch normalization."""
        count = int(np.prod([x.shape[place] for place in self.others_of(part, x)]))
        old = part.momentum if part.convention.momentum_weighs == "old" else 1.0 - part.momentum
        if part.convention.running_variance == "bessel":
            variance = variance * self.dtype.type(count / (count - 1))
        kept, new = self.dtype.type(old), self.dtype.type(1.0 - old)
        self.state[part] = tuple(
            (kept * one + new * other.reshape(one.shape)).astype(one.dtype)
            for one, other in zip(self.state[part], (mean, variance), strict=True)
        )

    def others_of(self, part: Any, x: Array) -> tuple[int, ...]:
        """Return the axes that are averaged over."""
        axis = tuple(place % x.ndim for place in part.axis)
        return tuple(place for place in range(x.ndim) if place not in axis)

    # Coupling.

    def coupled(self, part: Any, direction: str, x: Array, ndims: int) -> tuple[Array, Array]:
        """Scale and shift some units by functions of the others."""
        stays, moves = self.masks(part)
        shift, log_scale = self.conditioned(part.conditioner, x[..., stays])
        y = np.array(x)
        if direction == "forward":
            y[..., moves] = x[..., moves] * np.exp(log_scale) + shift
        else:
            y[..., moves] = (x[..., moves] - shift) * np.exp(-log_scale)
        full = np.broadcast_to(log_scale, x[..., moves].shape)
        return y, self.coupling_log_det(full if direction == "forward" else -full, ndims)

    def coupling_log_det(self, log_scale: Array, ndims: int) -> Array:
        return self.total(log_scale.real, ndims)

    def masks(self, part: Any) -> tuple[slice, slice]:
        """Return which units stay, and which are transformed."""
        number, size = self.masked(part), part.size
        if number < 0:
            return slice(size + number, size), slice(0, size + number)
        return slice(0, number), slice(number, size)

    def masked(self, part: Any) -> int:
        """Return how many units stay, negative where they are the last ones."""
        if part.fraction_masked is None:
            return part.num_masked  # type: ignore[no-any-return]
        over, under = f"{abs(part.fraction_masked):.6f}".split(".")
        count = int(over + under) * part.size // 10**6
        return -count if part.fraction_masked < 0 else int(count)

    def conditioned(self, conditioner: Any, x0: Array) -> tuple[Array, Array]:
        """Run a network: the shift, and the logarithm of the scale."""
        for number, (kernel, bias) in enumerate(conditioner.layers):
            if number:
                x0 = np.tanh(x0) if conditioner.activation == "tanh" else np.where(x0.real > 0, x0, 0)
            x0 = x0 @ kernel + bias
        zero = self.dtype.type(0)
        half = x0.shape[-1] // 2
        found = {
            "both": (x0[..., :half], x0[..., half:]),
            "shift": (x0, zero),
            "log_scale": (zero, x0),
        }[conditioner.outputs]
        if conditioner.conditioned:
            found = self.with_context(found)
        return found

    def with_context(self, found: tuple[Array, Array]) -> tuple[Array, Array]:
        """Add the condition to the shift."""
        return found[0] + self.context, found[1]
