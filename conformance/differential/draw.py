"""Draw: one random configuration with its data, reproducible from a seed, the name of an original, and a number."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

import bnspec
from bnspec_conformance.cases import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bnspec.conventions import Convention

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["CHOICES", "Draw", "draw"]

# What every original can be asked for; an entry that is repeated is drawn as often. An original adds and removes.
CHOICES: Mapping[str, tuple[Any, ...]] = {
    "rank": (2, 2, 3, 4, 4, 5),
    "axis": (-1,),
    "dtype": ("float32", "float32", "float64"),
    "center": (True, True, False),
    "scale": (True, True, False),
    "momentum": ("default", "drawn", "drawn", "drawn", "keep-all", "take-all"),
    "epsilon": ("default", "of-variance", "of-variance", "far-below", "above"),
    "data": ("usual", "usual", "few", "few", "far", "farther", "tiny", "huge", "outlier", "constant", "long", "empty"),
    "steps": (1, 2, 3, 5),
    "uneven": (True,),
    # What is not compiled is fast where shapes are not new; they come from a pool then, of two for each layout.
    "compiled": (True,),
    "pool": (None,),
    "trainable": (True,),
    "state": ("loaded", "loaded", "fresh"),
    "renorm": (False,),
    "renorm_clipping": ("none",),
    "renorm_momentum": ("none",),
    "fused": (None,),
    "virtual_batch_size": (None,),
    "adjustment": (False,),
    "weights": (False,),
    "channels": (None,),
}
"""Names of options to their values."""

# Where epsilon lies, in powers of ten of the variance.
_EPSILONS = {"of-variance": (-0.5, 0.5), "far-below": (-6.0, -2.0), "above": (0.5, 2.0)}
# The mean, in deviations.
_RATIOS = {"far": (2.0, 4.0), "farther": (4.0, 6.0)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Draw(Case):
    """A case, and everything else that an original may be asked for.

    Attributes
    ----------
    options : mapping
        The names and values that were drawn, plain data.
    convention : Convention
        What both sides compute.
    """

    options: Mapping[str, Any]
    convention: Convention
    # A frozen draw and its thawed one differ in options only, which a case does not compare.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def frozen(self) -> bool:
        """Whether a call in training is one in evaluation."""
        return not self.options["trainable"] and self.convention.freeze == "evaluation"

    @property
    def fresh(self) -> bool:
        """Whether the state is the one that a layer has when it is made."""
        return bool(self.options["state"] == "fresh")

    @cached_property
    def training(self) -> tuple[Array, ...]:
        """As of a case; a frozen layer is never trained."""
        return () if self.frozen else tuple(self._batch(shape, number) for number, shape in enumerate(self.shapes))

    @cached_property
    def thawed(self) -> Draw:
        """The same layer as if it could be trained."""
        return replace(self, options={**self.options, "trainable": True}) if self.frozen else self

    @cached_property
    def moving_mean(self) -> Array:
        """As of a case; 0 in a layer that has just been made."""
        if self.fresh:
            return np.zeros(self.parameter_shape, self.parameter_dtype)
        values = self.mean + self.deviation * self._random("moving_mean").normal(0.3, 0.8, self.parameter_shape)
        return self._cast(values, self.parameter_dtype)

    @cached_property
    def moving_variance(self) -> Array:
        """As of a case; the convention's in a layer that has just been made."""
        if self.fresh:
            return np.full(self.parameter_shape, self.convention.initial_variance, self.parameter_dtype)
        values = self.deviation**2 * self._random("moving_variance").uniform(0.4, 2.9, self.parameter_shape)
        return self._cast(values, self.parameter_dtype)

    @cached_property
    def renorm_state(self) -> tuple[Array, Array, Array]:
        """Near the data's, but not on them; what follows from the other averages in a layer that has just been made."""
        shape = self.parameter_shape
        if self.fresh:
            return np.sqrt(self.moving_variance), np.zeros_like(self.moving_mean), np.sqrt(self.moving_variance)
        random = self._random("renorm")
        deviation = np.sqrt(self.deviation**2 + self.epsilon) * random.uniform(0.5, 2.0, (2, *shape))
        mean = self.mean + self.deviation * random.normal(-0.2, 0.7, shape)
        stddev, spread = (self._cast(part, self.parameter_dtype) for part in deviation)
        return stddev, self._cast(mean, self.parameter_dtype), spread

    @cached_property
    def weights(self) -> tuple[Array | None, ...]:
        """Weights 0 and 1 of x's rank, with size 1 on the last axis; at least two elements are there."""
        if not self.options["weights"] or self.frozen:
            return tuple(None for _ in self.training)
        found = []
        for number, shape in enumerate(self.shapes):
            values = self._random(f"weights {number}").choice([0.0, 1.0, 1.0], (*shape[:-1], 1))
            values.flat[: min(2, values.size)] = 1.0
            found.append(values.astype(self.parameter_dtype))
        return tuple(found)

    @cached_property
    def adjustments(self) -> tuple[tuple[Array, Array] | None, ...]:
        """A scale and a bias for each sample."""
        if not self.options["adjustment"] or self.frozen:
            return tuple(None for _ in self.training)
        found = []
        for number, shape in enumerate(self.shapes):
            random, wanted = self._random(f"adjustment {number}"), (shape[0], *(1 for _ in shape[1:]))
            pair = random.uniform(0.7, 1.3, wanted), random.normal(0.1, 0.4, wanted)
            found.append((self._cast(pair[0], self.parameter_dtype), self._cast(pair[1], self.parameter_dtype)))
        return tuple(found)


def draw(
    original: str,
    convention_of: Callable[[Options], Convention],
    choices: Mapping[str, tuple[Any, ...]],
    mend: Callable[[Options, np.random.Generator], None],
    seed: int,
    number: int,
    forced: Mapping[str, Any] | None = None,
) -> Draw:
    """Draw a configuration.

    Parameters
    ----------
    original : str
        Whose domain it is drawn from.
    convention_of : callable
        Names the convention that the original follows under given options.
    choices : mapping
        Option to the values that the original documents.
    mend : callable
        Changes, in place, options that exclude each other.
    seed, number : int
        Which draw it is.
    forced : mapping, optional
        Options that are not drawn.

    Returns
    -------
    Draw
    """
    random = np.random.default_rng([seed, crc32(original.encode()), number])
    options = {name: values[random.integers(len(values))] for name, values in choices.items()}
    options.update(forced or {})
    mend(options, random)
    options.update(forced or {})
    if options["data"] == "empty":
        options["steps"] = max(2, options["steps"])
    convention = convention_of(options)
    options["convention"] = convention.name

    rank = options["rank"]
    chosen = options["axis"] if isinstance(options["axis"], list) else [options["axis"]]
    axis = tuple(sorted(a % rank for a in chosen))
    shapes = _shapes(options, rank, axis, random)
    options["channels"] = int(np.prod([shapes[-1][place] for place in axis]))
    deviation, mean = _scale(options, random)
    epsilon = convention.epsilon
    if options["epsilon"] in _EPSILONS:
        epsilon = float(deviation**2 * 10.0 ** random.uniform(*_EPSILONS[options["epsilon"]]))
    take = _take(options, convention, random)
    renorm = None
    if options["renorm"]:
        limits = {"rmin": 0.0, "rmax": np.inf, "dmax": np.inf}
        if options["renorm_clipping"] == "all":
            limits = {"rmin": 1.0 / 1.5, "rmax": 1.5, "dmax": 0.5}
        elif options["renorm_clipping"] == "dmax":
            limits["dmax"] = 0.25
        # Of a new batch, as in `Case`.
        share = float(random.uniform(0.05, 0.9)) if options["renorm_momentum"] == "drawn" else 1.0 - 0.99
        renorm = bnspec.Renorm(**limits, momentum=share)
    return Draw(
        id=f"{original} {seed} {number}{' forced' if forced else ''}",
        shapes=shapes,
        axis=axis,
        dtype=options["dtype"],
        mean=mean,
        deviation=deviation,
        epsilon=epsilon,
        take=take,
        center=options["center"],
        scale=options["scale"],
        draw=_data(options["data"], mean, deviation, axis, crc32(f"{original} {seed} {number}".encode())),
        options=options,
        convention=convention,
        renorm=renorm,
        ghosts=options["virtual_batch_size"],
    )


def _shapes(options: Options, rank: int, axis: tuple[int, ...], random: np.random.Generator) -> tuple[Any, ...]:
    """Draw the shapes of the training batches, which differ in their first axis that is averaged over."""
    if options["pool"] is not None:
        length = options["data"] if options["data"] in ("few", "long") else "usual"
        random = np.random.default_rng(crc32(f"{rank} {axis} {length} {options['pool']}".encode()))
    sizes = [int(random.integers(1, 5 if place in axis else 4)) for place in range(rank)]
    reduced = [place for place in range(rank) if place not in axis]
    few, long = options["data"] == "few", options["data"] == "long"
    if few:
        for place in reduced:
            sizes[place] = 1
    if options["channels"]:
        sizes[axis[0]] = options["channels"]
    shapes, count = [], 0
    for number in range(options["steps"]):
        if number == 0 or options["uneven"]:
            low, high = (2, 6) if few else (300, 3000) if long else (2, 25)
            count = int(random.integers(low, high))
        size = options["virtual_batch_size"]
        if size is not None:
            count = size * max(1, count // size)
        sizes[0 if size is not None else reduced[0]] = count
        shapes.append(tuple(sizes))
    if options["data"] == "empty":
        shapes[0] = tuple(0 if place == reduced[0] else size for place, size in enumerate(sizes))
    return tuple(shapes)


def _scale(options: Options, random: np.random.Generator) -> tuple[float, float]:
    """Draw the deviation and the mean of the data."""
    data = options["data"]
    exponent = {"tiny": (-6.0, -4.0), "huge": (3.0, 6.0)}.get(data, (-2.0, 2.0))
    deviation = float(10.0 ** random.uniform(*exponent))
    ratio = random.choice([0.0, 0.5, 3.0, 30.0])
    if data in _RATIOS:
        ratio = 10.0 ** random.uniform(*_RATIOS[data])
    return deviation, float(ratio * deviation * random.choice([-1.0, 1.0]))


def _take(options: Options, convention: Convention, random: np.random.Generator) -> float | None:
    """Draw the share of a new batch."""
    kind = options["momentum"]
    if kind == "cumulative":
        return None
    if kind == "drawn":
        return float(random.uniform(0.02, 0.98))
    if kind == "default":
        assert convention.momentum is not None  # noqa: S101 - narrows the type
        return convention.momentum if convention.momentum_weighs == "new" else 1.0 - convention.momentum
    return {"keep-all": 0.0, "take-all": 1.0}[kind]


def _data(kind: str, mean: float, deviation: float, axis: tuple[int, ...], seed: int) -> Any:
    """Return what makes data of a kind that `Case` does not make by itself."""
    if kind not in ("outlier", "constant"):
        return None

    def made(shape: tuple[int, ...], number: int) -> Array:
        random = np.random.default_rng([seed, number, *shape])
        channels = tuple(size if place in axis else 1 for place, size in enumerate(shape))
        level = mean + deviation * random.normal(0.0, 1.0, channels)
        if kind == "constant":
            return np.broadcast_to(level, shape).copy()
        values: Array = level + deviation * random.normal(0.0, 1.0, shape)
        first = tuple(slice(None) if place in axis else 0 for place in range(len(shape)))
        values[first] += deviation * random.uniform(10.0, 1000.0)
        return values

    return made
