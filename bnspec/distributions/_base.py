"""Distribution: samples, densities, and all that follows from them."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import (
    accumulation_dtype,
    as_shape,
    broadcast_shapes,
    common_namespace,
    device_of,
    fits,
    shape_of,
    sizes_of,
)
from bnspec.distributions._seeds import fresh_seed, is_key, key_of
from bnspec.distributions._statistics import Statistics
from bnspec.errors import message
from bnspec.variables import default_like, from_numpy, require_name, rounded, scope, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import SupportsIndex

__all__ = ["Distribution", "as_sample_shape", "require_one_event"]


class Distribution(Statistics):
    """A distribution of arrays: a batch of them, each of events.

    Parameters
    ----------
    parameters : mapping
        The arguments of the constructor by name, for :meth:`copy`, for equality and for the search of variables.
    validate_args : bool
        Whether values of parameters are checked where they are known: eagerly, and not inside a compiler.
    dtype : dtype, optional
        Of samples, and what values must have; by default that of the parameters that are arrays.
    name : str, optional
        By default, the name of the class.

    Raises
    ------
    TypeError
        If an argument is not as described, or parameters are of several libraries or dtypes.

    Notes
    -----
    A subclass writes ``batch_shape``, ``event_shape``, ``_drawn`` and ``_log_prob``, and those of the statistics that
    exist. Arrays come in float32 or float64, and what is computed is rounded where half precision was given.

    Numbers and lists take the library, dtype and device of the parameters that are arrays; without any, those of a
    key that is the seed, else of the default backend.

    Samples are drawn by counter: the same seed gives the same numbers on every backend and device, up to the rounding
    of log, cos and sin. Sampling changes no variable.

    References
    ----------
    .. [1] J. V. Dillon et al., TensorFlow Distributions, arXiv:1711.10604.
    """

    def __init__(
        self,
        *,
        parameters: Mapping[str, Any],
        validate_args: bool = False,
        dtype: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            parameters=parameters,
            validate_args=validate_args,
            dtype=dtype,
            name=type(self).__name__ if name is None else name,
        )
        self._last_seed: int | None = None

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The shape of the batch: of the distributions that the parameters describe, each independent of the others."""
        raise NotImplementedError(message(f"{self.name} must have a batch_shape", "Write it in the subclass."))

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of one draw of one distribution."""
        raise NotImplementedError(message(f"{self.name} must have an event_shape", "Write it in the subclass."))

    @property
    def last_seed(self) -> int | None:
        """The seed that was drawn for the last sample without one, with which it can be drawn again; None before."""
        return self._last_seed

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> Any:
        """Return :attr:`batch_shape` as an array.

        Parameters
        ----------
        name : str
            Accepted for TFP's sake.

        Returns
        -------
        array, shape (R,), int32
            Of the library of the parameters, or of the default backend.

        Raises
        ------
        ValueError
            If a size is not known.
        """
        require_name(name)
        return self._as_array("batch_shape", self.batch_shape)

    def event_shape_tensor(self, name: str = "event_shape_tensor") -> Any:
        """Return :attr:`event_shape` as an array; see :meth:`batch_shape_tensor`."""
        require_name(name)
        return self._as_array("event_shape", self.event_shape)

    def sample(
        self,
        sample_shape: SupportsIndex | Sequence[int] = (),
        seed: Any = None,
        name: str = "sample",
        **kwargs: Any,
    ) -> Any:
        """Draw.

        Parameters
        ----------
        sample_shape : int or sequence of int
            S, how many draws of each distribution; by default one, without an axis of its own.
        seed : int or array, shape (2,), int32, optional
            An integer in [0, 2^64), or a key of ``bnspec.arrays.random_key``. Without it the draw is fresh, and
            :attr:`last_seed` tells the seed afterwards.
        name : str
            Accepted for TFP's sake.
        **kwargs
            Conditions.

        Returns
        -------
        array, shape (*S, *batch, *event)

        Raises
        ------
        TypeError
            If an argument is not as described, or a condition is unknown.
        ValueError
            If a size is negative or not known, the seed is out of range, or there is none inside a compiler.
        """
        return self._draw(self._drawn, sample_shape, seed, name, kwargs)

    def sample_and_log_prob(
        self,
        sample_shape: SupportsIndex | Sequence[int] = (),
        seed: Any = None,
        name: str = "sample_and_log_prob",
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """Draw, and return the log-densities of the draws, in one pass; see :meth:`sample`.

        Returns
        -------
        sample : array, shape (*S, *batch, *event)
        log_prob : array, shape (*S, *batch)
        """
        found: tuple[Any, Any] = self._draw(self._drawn_with_log_prob, sample_shape, seed, name, kwargs)
        return found

    def log_prob(self, value: Any, name: str = "log_prob", **kwargs: Any) -> Any:
        """Return the logarithm of the density.

        Parameters
        ----------
        value : array, broadcastable to (*S, *batch, *event), real floating, or numbers
            Where.
        name : str
            Accepted for TFP's sake.
        **kwargs
            Conditions.

        Returns
        -------
        array, shape (*S, *batch), of value's dtype

        Raises
        ------
        TypeError
            If `value` is no array, or of another library or dtype than the parameters; if a condition is unknown.
        ValueError
            If it does not fit the shapes.
        """
        return self._at("log_prob", value, name, kwargs)

    def prob(self, value: Any, name: str = "prob", **kwargs: Any) -> Any:
        """Return the density; see :meth:`log_prob`."""
        return self._at("prob", value, name, kwargs)

    def cdf(self, value: Any, name: str = "cdf", **kwargs: Any) -> Any:
        """Return the probability of at most a value, of a distribution of numbers; see :meth:`log_prob`.

        Raises
        ------
        NotImplementedError
            If there is no formula.
        """
        return self._at("cdf", value, name, kwargs)

    def log_cdf(self, value: Any, name: str = "log_cdf", **kwargs: Any) -> Any:
        """Return the logarithm of :meth:`cdf`, accurate where that is near 0 or 1."""
        return self._at("log_cdf", value, name, kwargs)

    def survival_function(self, value: Any, name: str = "survival_function", **kwargs: Any) -> Any:
        """Return the probability of more than a value, of a distribution of numbers; see :meth:`cdf`."""
        return self._at("survival_function", value, name, kwargs)

    def log_survival_function(self, value: Any, name: str = "log_survival_function", **kwargs: Any) -> Any:
        """Return the logarithm of :meth:`survival_function`, accurate where that is near 0 or 1."""
        return self._at("log_survival_function", value, name, kwargs)

    def quantile(self, value: Any, name: str = "quantile", **kwargs: Any) -> Any:
        """Return what has the probability `value` of at most it: the inverse of :meth:`cdf`.

        Parameters
        ----------
        value : array, broadcastable to (*S, *batch), real floating, or numbers
            Probabilities. 0 and 1 give the ends of the range, what is outside gives NaN.
        name : str
            Accepted for TFP's sake.
        **kwargs
            Conditions.

        Returns
        -------
        array, shape (*S, *batch), of value's dtype

        Raises
        ------
        TypeError, ValueError, NotImplementedError
            As :meth:`cdf`.
        """
        return self._at("quantile", value, name, kwargs)

    def _drawn(self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]) -> Any:
        """Draw an array of shape (*shape, *event), of the dtype and library of an array; `shape` ends with the batch.

        The batch may be larger than the own one, which is broadcast to it. To be written by a subclass.
        """
        raise NotImplementedError(message(f"{self.name} must be sampled", "Write _drawn in the subclass."))

    def _drawn_with_log_prob(
        self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]
    ) -> tuple[Any, Any]:
        """Draw, and compute the log-densities of shape `shape`; see :meth:`_drawn`."""
        x = self._drawn(key, shape, like, condition)
        return x, self._log_prob(x, condition)

    def _shown(self) -> list[str]:
        return [f"batch_shape={self.batch_shape}", f"event_shape={self.event_shape}"]

    def _draw(self, draw: Callable[..., Any], sample_shape: Any, seed: Any, name: str, kwargs: dict[str, Any]) -> Any:
        require_name(name)
        condition = self._conditions(kwargs)
        self._require_valid()
        batch = self.batch_shape
        shape = (*as_sample_shape(sample_shape), *(size for size in batch if size is not None))
        if None in batch:
            raise ValueError(message("the batch must be known for a sample", "Pass an array of it.", batch_shape=batch))
        given = self._like_for(seed)
        xp = common_namespace(like=given)
        # An array of shape () that is made here is traced where this call is.
        like = xp.zeros((), dtype=accumulation_dtype(xp, given), device=device_of(given))
        if seed is None:
            seed = self._last_seed = fresh_seed(like)
        with scope():
            found = draw(key_of(seed, like), shape, like, condition)
        return rounded(found, given.dtype, xp)

    def _like_for(self, seed: Any) -> Any:
        """Return an array that gives samples their library, dtype and device."""
        like = self._like()
        if like is not None:
            return like
        if not is_key(seed):
            return default_like()
        return common_namespace(seed=seed).asarray(0.0, device=device_of(seed))

    def _at(self, which: str, value: Any, name: str, kwargs: dict[str, Any]) -> Any:
        """Compute a function of a value."""
        require_name(name)
        condition = self._conditions(kwargs)
        self._require_valid()
        x, back = self._inputs("value", value)
        x = self._fitted(x, () if which == "quantile" else self.event_shape)
        with transaction():
            return back(getattr(self, f"_{which}")(x, condition))

    def _fitted(self, x: Any, event: tuple[int | None, ...]) -> Any:
        """Broadcast a value to the event; the functions broadcast it to the batch."""
        shape, wanted = shape_of(x), (*self.batch_shape, *event)
        try:
            whole = broadcast_shapes(shape, wanted)
        except ValueError:
            whole = None
        kept = len(shape) - len(event)
        if whole is None or not fits(whole[len(whole) - len(event) :], event):
            raise ValueError(
                message(
                    "value must be broadcastable to the batch and the event",
                    shape=shape,
                    batch_shape=self.batch_shape,
                    event_shape=event,
                )
            )
        if kept >= 0 and fits(shape[kept:], event):
            return x
        return common_namespace(x=x).broadcast_to(x, (*sizes_of(x)[: max(kept, 0)], *event))

    def _as_array(self, name: str, shape: tuple[int | None, ...]) -> Any:
        if None in shape:
            raise ValueError(message(f"the sizes of {name} must be known", shape=shape))
        like = self._like()
        return from_numpy(np.asarray(shape, dtype=np.int32), default_like() if like is None else like)


def require_one_event(one: Distribution, other: Distribution) -> None:
    """Refuse distributions of events of several shapes.

    Parameters
    ----------
    one, other : Distribution
        What is to be compared.

    Raises
    ------
    ValueError
        If their events differ.
    """
    if not fits(one.event_shape, other.event_shape):
        raise ValueError(message("both must have one event_shape", self=one.event_shape, other=other.event_shape))


def as_sample_shape(given: Any) -> tuple[int, ...]:
    """Take a shape of samples.

    Parameters
    ----------
    given : int or sequence of int
        A shape, or one size.

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError, ValueError
        If it is neither, or a size is negative.
    """
    try:
        size = index(given)
    except TypeError:
        size = None
    try:
        return as_shape(given if size is None else (size,))
    except (TypeError, ValueError) as error:
        text = message("sample_shape must be a size or a sequence of them, not negative", sample_shape=given)
        raise type(error)(text) from None
