"""Initializers: the first values of variables, the same numbers on every backend and device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import erf, prod, sqrt
from operator import index
from secrets import randbits
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bnspec.arrays import (
    ACCUMULATES_IN,
    common_namespace,
    device_of,
    dtype_name,
    fold_in,
    random_key,
    random_normal,
    random_uniform,
)
from bnspec.layers._objects import Configured, Table, require_number
from bnspec.variables import from_numpy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "INITIALIZERS",
    "Constant",
    "GlorotUniform",
    "Ones",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "Zeros",
    "reseeded",
]


class Constant(Configured):
    """Begin with one number everywhere.

    Parameters
    ----------
    value : float
        The number.

    Raises
    ------
    TypeError
        If it is none.
    """

    fields: tuple[str, ...] = ("value",)

    def __init__(self, value: float = 0.0) -> None:
        self.value = require_number("value", value)

    def __call__(self, shape: Sequence[int], *, like: Any) -> Any:
        """Make an array.

        Parameters
        ----------
        shape : sequence of int
            K.
        like : array
            Gives library, device and dtype.

        Returns
        -------
        array, shape K
        """
        xp = common_namespace(like=like)
        return xp.full(tuple(shape), self.value, dtype=like.dtype, device=device_of(like))


class Zeros(Constant):
    """Begin with 0."""

    fields = ()

    def __init__(self) -> None:
        super().__init__(0.0)


class Ones(Constant):
    """Begin with 1."""

    fields = ()

    def __init__(self) -> None:
        super().__init__(1.0)


class _Random(Configured, ABC):
    """Begin with random numbers; they are drawn in NumPy, so that no library's logarithm has a say."""

    seed: int

    def reseeded(self, number: int, seed: int | None) -> Self:
        """Return the initializer that draws from the fold with a number of a seed, by default of its own."""
        xp = common_namespace(key=np.zeros(0))
        key = fold_in(random_key(self.seed if seed is None else seed, xp=xp), number, xp)
        high, low = (int(word) % 2**32 for word in key)
        return type(self)(**{**self.get_config(), "seed": high * 2**32 + low})

    def _sow(self, seed: int | None) -> None:
        drawn = randbits(32) if seed is None else seed
        random_key(drawn, xp=np)  # refuses what is no seed
        self.seed = index(drawn)

    def __call__(self, shape: Sequence[int], *, like: Any) -> Any:
        """Make an array; the same one each time.

        Parameters
        ----------
        shape : sequence of int
            K.
        like : array
            Gives library, device and dtype; half precision is rounded from float32.

        Returns
        -------
        array, shape K
        """
        dtype = np.dtype(ACCUMULATES_IN[dtype_name(like.dtype)])
        space = common_namespace(key=np.zeros(0))
        drawn = self._draw(random_key(self.seed, xp=space), tuple(shape), dtype, space)
        made = from_numpy(drawn.astype(dtype), like)
        return common_namespace(like=like).astype(made, like.dtype)

    @abstractmethod
    def _draw(self, key: Any, shape: tuple[int, ...], dtype: Any, xp: Any) -> np.ndarray[Any, Any]:
        """Draw in NumPy, whose namespace is `xp`."""


class RandomUniform(_Random):
    """Begin with uniform numbers in (minval, maxval].

    Parameters
    ----------
    minval, maxval : float
        The ends.
    seed : int, optional
        In [0, 2^64). Without one, one is drawn when the initializer is made, and kept in its configuration.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """

    fields = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval = require_number("minval", minval)
        self.maxval = require_number("maxval", maxval)
        self._sow(seed)

    def _draw(self, key: Any, shape: tuple[int, ...], dtype: Any, xp: Any) -> np.ndarray[Any, Any]:
        drawn: np.ndarray[Any, Any] = random_uniform(key, shape, dtype, xp)
        return self.minval + drawn * (self.maxval - self.minval)


class RandomNormal(_Random):
    """Begin with normal numbers.

    Parameters
    ----------
    mean, stddev : float
        Their mean and standard deviation.
    seed : int, optional
        As of :class:`RandomUniform`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """

    fields = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = require_number("mean", mean)
        self.stddev = require_number("stddev", stddev)
        self._sow(seed)

    def _draw(self, key: Any, shape: tuple[int, ...], dtype: Any, xp: Any) -> np.ndarray[Any, Any]:
        drawn: np.ndarray[Any, Any] = random_normal(key, shape, dtype, xp)
        return self.mean + drawn * self.stddev


class TruncatedNormal(RandomNormal):
    """Begin with normal numbers no further than two standard deviations from their mean.

    Parameters
    ----------
    mean, stddev : float
        Mean and standard deviation before the ends are cut off.
    seed : int, optional
        As of :class:`RandomUniform`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    Uniform numbers go through the quantile function of the truncated distribution.
    """

    def _draw(self, key: Any, shape: tuple[int, ...], dtype: Any, xp: Any) -> np.ndarray[Any, Any]:
        inside = erf(2.0 / sqrt(2.0))
        uniform = random_uniform(key, shape, np.dtype("float64"), xp)
        quantile = NormalDist().inv_cdf
        drawn = [quantile(0.5 + (u - 0.5) * inside) for u in uniform.ravel().tolist()]
        return self.mean + np.reshape(np.asarray(drawn), shape) * self.stddev


class GlorotUniform(_Random):
    """Begin with uniform numbers in (-L, L], where L = sqrt(6 / (fan in + fan out)) [1]_.

    Parameters
    ----------
    seed : int, optional
        As of :class:`RandomUniform`.

    Raises
    ------
    TypeError, ValueError
        If the seed is not as described.

    Notes
    -----
    A kernel of shape (*R, I, O) has the fans I and O, each times the sizes of R; a vector has its size as both. A sum
    of fans below 2 counts as 2, as Keras has it.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, Understanding the difficulty of training deep feedforward neural networks, AISTATS
       2010.
    """

    fields = ("seed",)

    def __init__(self, seed: int | None = None) -> None:
        self._sow(seed)

    def _draw(self, key: Any, shape: tuple[int, ...], dtype: Any, xp: Any) -> np.ndarray[Any, Any]:
        fans = sum(shape[-2:]) * prod(shape[:-2]) if len(shape) > 1 else 2 * prod(shape)
        limit = sqrt(6.0 / max(2, fans))
        drawn: np.ndarray[Any, Any] = random_uniform(key, shape, dtype, xp)
        return -limit + drawn * (2.0 * limit)


def reseeded(initializer: Callable[..., Any], number: int, seed: int | None = None) -> Callable[..., Any]:
    """Give each of several variables that share an initializer random numbers of its own.

    Parameters
    ----------
    initializer : callable
        What :data:`INITIALIZERS` returned.
    number : int
        Of the variable.
    seed : int, optional
        By default, that of the initializer.

    Returns
    -------
    callable
        The same where it is not one of the random ones of ours.
    """
    return initializer.reseeded(number, seed) if isinstance(initializer, _Random) else initializer


_NAMES: dict[str, Callable[[], Configured]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_uniform": RandomUniform,
    "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "glorot_uniform": GlorotUniform,
}

INITIALIZERS = Table(
    "an initializer", (Zeros, Ones, Constant, RandomUniform, RandomNormal, TruncatedNormal, GlorotUniform), _NAMES
)
