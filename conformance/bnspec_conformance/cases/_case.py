"""Case: one configuration with its data, drawn from its own name and never on a fixed point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import numpy as np

from bnspec_conformance.adapter import Config

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec import Renorm
    from bnspec.conventions import Convention
    from bnspec_conformance.adapter import Adapter, Layer

    Array = np.ndarray[Any, Any]

__all__ = ["Case", "from_rows", "to_rows"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One configuration, training batches, an evaluation batch, parameters, state and a cotangent.

    Attributes
    ----------
    id : str
        Names the case, and seeds its random numbers.
    shapes : tuple of shapes
        The shapes of the training batches.
    evaluation_shape : shape, optional
        The shape of the evaluation batch; by default that of the last training batch.
    axis : tuple of int
        The feature axes, non-negative and ascending.
    dtype : str
        The dtype of the input.
    mean, deviation : float
        Of the data. Each channel has these times a factor of its own.
    epsilon : float
        Added to the variance.
    take : float or None
        The weight of a new batch in the running averages, whatever the convention calls it; None for the
        cumulative average.
    center, scale : bool
        Whether there is a beta, and a gamma.
    positive : bool
        Whether gamma is positive, as that of many flows must be.
    edges : bool
        Whether the first channel has a gamma of 0 and a running variance of 0, and the second a gamma of 1e-6.
    aliased : bool
        Whether gamma is the same array as the running variance, and beta as the running mean.
    weighted : {"", "rows", "elements", "counts"}
        Whether the training batches have frequency weights, and whether one for each row or for each element; counts
        are whole numbers, one for each row.
    ghosts : int, optional
        The number of samples of a ghost batch.
    renorm : Renorm, optional
        The limits of renormalization, and the weight of a new batch in its averages, as in `take`.
    adjusted : {"", "features", "elements"}
        Whether the training batches have a scale and a bias between normalization and gamma, and whether one for each
        feature or for each element.
    draw : callable, optional
        Makes the data of a batch from its shape and number, in place of random numbers.
    """

    id: str
    shapes: tuple[tuple[int, ...], ...]
    axis: tuple[int, ...]
    dtype: str = "float32"
    mean: float = 1.5
    deviation: float = 2.0
    epsilon: float = 1e-2
    take: float | None = 0.3
    center: bool = True
    scale: bool = True
    positive: bool = False
    edges: bool = False
    aliased: bool = False
    evaluation_shape: tuple[int, ...] | None = None
    weighted: Literal["", "rows", "elements", "counts"] = ""
    ghosts: int | None = None
    renorm: Renorm | None = None
    adjusted: Literal["", "features", "elements"] = ""
    draw: Callable[[tuple[int, ...], int], Array] | None = None

    @property
    def parameter_shape(self) -> tuple[int, ...]:
        """(C,), or with several feature axes, 1 on the axes that are averaged over."""
        shape = self.shapes[0]
        if len(self.axis) == 1:
            return (shape[self.axis[0]],)
        return tuple(size if axis in self.axis else 1 for axis, size in enumerate(shape))

    @property
    def parameter_dtype(self) -> str:
        """The dtype of parameters and state."""
        return "float64" if self.dtype == "float64" else "float32"

    @cached_property
    def requires(self) -> frozenset[str]:
        """The capabilities that an adapter must have for this case."""
        rank, names = len(self.shapes[0]), {self.dtype}
        names.add(f"rank {rank}")
        if len(self.axis) > 1:
            names.add("several axes")
        elif rank != 2 or self.axis == (0,):
            positions = {0: "axis 0", rank - 1: "axis -1", 1: "axis 1"} | ({0: "rank 1"} if rank == 1 else {})
            names.add(positions.get(self.axis[0], "inner axis"))
        names.update(
            name
            for name, needed in (
                ("momentum=None", self.take is None),
                ("center=False", not self.center),
                ("scale=False", not self.scale),
                ("any gamma", self.gamma is not None and bool((self.gamma <= self.epsilon).any())),
                ("weighted", bool(self.weighted)),
                ("ghosts", self.ghosts is not None),
                ("renorm", self.renorm is not None),
                ("adjusted", bool(self.adjusted)),
            )
            if needed
        )
        return frozenset(names)

    @cached_property
    def training(self) -> tuple[Array, ...]:
        """The training batches."""
        return tuple(self._batch(shape, number) for number, shape in enumerate(self.shapes))

    @cached_property
    def weights(self) -> tuple[Array | None, ...]:
        """The frequency weights of the training batches: 0, fractions and more than 1; no channel is without."""
        return tuple(self._weights(shape, number) for number, shape in enumerate(self.shapes))

    @cached_property
    def adjustments(self) -> tuple[tuple[Array, Array] | None, ...]:
        """The scale and bias of the training batches: no scale is 1, and no bias 0."""
        return tuple(self._adjustment(shape, number) for number, shape in enumerate(self.shapes))

    @cached_property
    def renorm_state(self) -> tuple[Array, Array, Array]:
        """moving_stddev, renorm_mean and renorm_stddev, of the data's size, but none equal to it."""
        random, shape = self._random("renorm"), self.parameter_shape
        deviation = self.deviation * random.uniform(0.7, 1.6, (2, *shape))
        mean = self.mean + self.deviation * random.normal(-0.2, 0.7, shape)
        stddev, spread = (self._cast(part, self.parameter_dtype) for part in deviation)
        return stddev, self._cast(mean, self.parameter_dtype), spread

    @cached_property
    def evaluation(self) -> Array:
        """The evaluation batch."""
        return self._batch(self.evaluation_shape or self.shapes[-1], len(self.shapes))

    @cached_property
    def cotangent(self) -> Array:
        """A cotangent of the last training batch's output, with no symmetry and a mean that is not 0."""
        values = self._random("cotangent").normal(0.7, 1.3, self.shapes[-1])
        return self._cast(values, self.dtype)

    @cached_property
    def tangent(self) -> Array:
        """A direction of the last training batch, with no symmetry and a mean that is not 0."""
        values = self.deviation * self._random("tangent").normal(-0.4, 1.1, self.shapes[-1])
        return self._cast(values, self.dtype)

    @cached_property
    def gamma(self) -> Array | None:
        """Scales of both signs unless they are `positive`, none of size 1; None without `scale`."""
        if self.aliased:
            return self.moving_variance
        random = self._random("gamma")
        size = random.uniform(0.3, 0.9, self.parameter_shape) * random.choice([-1.0, 1.0, 2.5], self.parameter_shape)
        if self.positive:
            size = np.abs(size)
        if self.edges:
            size.flat[:2] = 0.0, 1e-6
        return self._cast(size, self.parameter_dtype) if self.scale else None

    @cached_property
    def beta(self) -> Array | None:
        """Offsets; None without `center`."""
        if self.aliased:
            return self.moving_mean
        values = self._random("beta").normal(0.4, 1.0, self.parameter_shape)
        return self._cast(values, self.parameter_dtype) if self.center else None

    @cached_property
    def moving_mean(self) -> Array:
        """A running mean near the data's, but not on it."""
        values = self.mean + self.deviation * self._random("moving_mean").normal(0.3, 0.8, self.parameter_shape)
        return self._cast(values, self.parameter_dtype)

    @cached_property
    def moving_variance(self) -> Array:
        """A running variance of the data's size, but not equal to it."""
        values = self.deviation**2 * self._random("moving_variance").uniform(0.4, 2.9, self.parameter_shape)
        if self.edges:
            values.flat[0] = 0.0
        return self._cast(values, self.parameter_dtype)

    def momentum(self, convention: Convention) -> float | None:
        """Return the momentum that gives a new batch the weight `take`.

        Parameters
        ----------
        convention : Convention
            Says what momentum multiplies.

        Returns
        -------
        float or None
        """
        return self.take if self.take is None or convention.momentum_weighs == "new" else 1.0 - self.take

    def config(self, convention: Convention) -> Config:
        """Return what an adapter is asked to build."""
        return Config(
            shape=self.shapes[0],
            axis=self.axis,
            momentum=self.momentum(convention),
            epsilon=self.epsilon,
            center=self.center,
            scale=self.scale,
            dtype=self.dtype,
            convention=convention,
            virtual_batch_size=self.ghosts,
            renorm=self.renorm_of(convention),
        )

    def renorm_of(self, convention: Convention) -> Renorm | None:
        """Return the renormalization with the momentum that gives a new batch the weight that `renorm` names."""
        if self.renorm is None or convention.momentum_weighs == "new":
            return self.renorm
        return replace(self.renorm, momentum=1.0 - self.renorm.momentum)

    def output_dtype(self, convention: Convention) -> str:
        """Return the dtype of the output."""
        if convention.output_dtype == "input" or self.dtype == self.parameter_dtype:
            return self.dtype
        return self.parameter_dtype

    def build(self, adapter: Adapter) -> Layer:
        """Build a layer and load copies of the parameters and the state into it."""
        layer = adapter(self.config(adapter.convention))
        values = (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        layer.load(*(None if value is None else value.copy() for value in values))  # type: ignore[arg-type]
        if self.renorm is not None:
            layer.load_renorm(*(value.copy() for value in self.renorm_state))  # type: ignore[attr-defined]
        return layer

    def _random(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(crc32(f"{self.id}/{purpose}".encode()))

    def _batch(self, shape: tuple[int, ...], number: int) -> Array:
        if self.draw is not None:
            return self._cast(self.draw(shape, number), self.dtype)
        channels = tuple(size if axis in self.axis else 1 for axis, size in enumerate(shape))
        random = self._random("channels")
        mean = self.mean * random.uniform(0.5, 1.0, channels)
        deviation = self.deviation * random.uniform(0.5, 1.5, channels)
        random = self._random(f"batch {number}")
        # Skewed, so that mean, median and mode differ, and each batch a little elsewhere.
        noise = random.gamma(2.0, 1.0, shape) / np.sqrt(2.0) + 0.2 * random.standard_normal(channels)
        return self._cast(mean + deviation * noise, self.dtype)

    def _weights(self, shape: tuple[int, ...], number: int) -> Array | None:
        if not self.weighted:
            return None
        shape = shape if self.weighted == "elements" else (shape[0], *(1 for _ in shape[1:]))
        known = [0.0, 1.0, 2.0, 3.0] if self.weighted == "counts" else [0.0, 0.25, 1.0, 2.0, 3.5]
        values = self._random(f"weights {number}").choice(known, shape)
        values[0], values[-1] = 2.0, 0.0
        return self._cast(values, self.parameter_dtype)

    def _adjustment(self, shape: tuple[int, ...], number: int) -> tuple[Array, Array] | None:
        if not self.adjusted:
            return None
        if self.adjusted == "features":
            shape = tuple(size if axis in self.axis else 1 for axis, size in enumerate(shape))
        random = self._random(f"adjustment {number}")
        pair = random.uniform(0.7, 0.95, shape) * random.choice([1.0, 1.6], shape), random.normal(0.15, 0.4, shape)
        return self._cast(pair[0], self.parameter_dtype), self._cast(pair[1], self.parameter_dtype)

    @staticmethod
    def _cast(values: Array, dtype: str) -> Array:
        if dtype == "bfloat16":
            import ml_dtypes  # noqa: PLC0415 - an extra; cases of this dtype are skipped without it

            return values.astype(ml_dtypes.bfloat16)
        return values.astype(dtype)


def to_rows(array: Array, axis: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Lay an array out as rows (N, C), in float64.

    Parameters
    ----------
    array : array, shape S
        Any array.
    axis : tuple of int
        Its feature axes, ascending.

    Returns
    -------
    array, shape (N, C)
    """
    reduced = tuple(a for a in range(array.ndim) if a not in axis)
    channels = int(np.prod([array.shape[a] for a in axis]))
    count = int(np.prod([array.shape[a] for a in reduced]))
    return np.transpose(array, reduced + axis).reshape(count, channels).astype(np.float64)


def from_rows(rows: Array, shape: tuple[int, ...], axis: tuple[int, ...]) -> Array:
    """Undo :func:`to_rows`.

    Parameters
    ----------
    rows : array, shape (N, C)
        The rows.
    shape : tuple of int
        S.
    axis : tuple of int
        The feature axes, ascending.

    Returns
    -------
    array, shape S
    """
    order = tuple(a for a in range(len(shape)) if a not in axis) + axis
    return np.transpose(rows.reshape([shape[a] for a in order]), np.argsort(order))
