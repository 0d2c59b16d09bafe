"""What the normal distribution and the multivariate one with a diagonal have in common."""

from __future__ import annotations

from typing import Any

from bnspec.arrays import broadcast_shapes, common_namespace, device_of, random_normal
from bnspec.bijectors._reduction import summed
from bnspec.distributions._base import Distribution, require_one_event
from bnspec.distributions._standard_normal import HALF_LOG_TWO_PI, log_density
from bnspec.variables import as_parameter, parameter_shape, require_broadcastable, resolved

__all__ = ["Gaussian"]


class Gaussian(Distribution):
    """Independent normal numbers, of which the last ones are an event.

    Parameters
    ----------
    loc, scale : number, nested list of numbers, array, Variable or None
        Means and standard deviations, broadcast with each other.
    scale_name : str
        What the argument is called.
    event_ndims : int
        The rank of an event.
    validate_args : bool
        Whether the standard deviations are checked.
    name : str
        The name.

    Raises
    ------
    TypeError
        If an argument is not as described.
    ValueError
        If the shapes do not fit, or a standard deviation has no meaning.
    """

    def __init__(
        self, loc: Any, scale: Any, *, scale_name: str, event_ndims: int, validate_args: bool, name: str
    ) -> None:
        self._loc = as_parameter("loc", loc)
        self._factors = as_parameter(scale_name, scale)
        self._scale_name = scale_name
        self._event_ndims = event_ndims
        parameters = {"loc": loc, scale_name: scale, "validate_args": validate_args, "name": name}
        super().__init__(parameters=parameters, validate_args=validate_args, name=name)
        require_broadcastable(loc=self._loc, **{scale_name: self._factors})
        self._require_valid()

    @property
    def loc(self) -> Any:
        """The means, as they were given."""
        return self._loc

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The shape of loc and scale together, without the event."""
        shape = self._shape()
        return shape[: len(shape) - self._event_ndims]

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of one draw."""
        shape = self._shape()
        return shape[len(shape) - self._event_ndims :]

    def _shape(self) -> tuple[int | None, ...]:
        return broadcast_shapes(parameter_shape(self._loc), parameter_shape(self._factors))

    def _spread(self, like: Any) -> Any:
        """Return the standard deviations."""
        return resolved(self._scale_name, self._factors, like)

    def _resolved(self, like: Any) -> tuple[Any, Any]:
        """Return means and standard deviations, each of its own shape."""
        loc, scale = resolved("loc", self._loc, like), self._spread(like)
        xp = common_namespace(like=like)
        zero = xp.zeros((), dtype=like.dtype, device=device_of(like))
        return zero if loc is None else loc, zero + 1.0 if scale is None else scale

    def _full(self, like: Any) -> tuple[Any, Any, Any]:
        """Return means and standard deviations of the full shape, and their namespace."""
        loc, scale = self._resolved(like)
        xp = common_namespace(like=like)
        return loc + xp.zeros_like(scale), scale + xp.zeros_like(loc), xp

    def _standardized(self, x: Any) -> tuple[Any, Any]:
        """Return x in standard deviations from the mean, and those."""
        loc, scale = self._resolved(x)
        return (x - loc) / scale, scale

    def _drawn(self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]) -> Any:
        xp = common_namespace(like=like)
        loc, scale = self._resolved(like)
        event = tuple(size for size in self.event_shape if size is not None)
        return loc + scale * random_normal(key, (*shape, *event), like.dtype, xp)

    def _log_prob(self, x: Any, condition: dict[str, Any]) -> Any:
        z, scale = self._standardized(x)
        xp = common_namespace(x=x)
        return summed(log_density(z) - xp.log(scale), self._event_ndims, xp)

    def _mean(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._full(like)[0]

    def _mode(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._full(like)[0]

    def _stddev(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._full(like)[1]

    def _entropy(self, like: Any, condition: dict[str, Any]) -> Any:
        _, scale, xp = self._full(like)
        return summed(xp.log(scale) + (0.5 + HALF_LOG_TWO_PI), self._event_ndims, xp)

    def _kl_divergence(self, other: Any, like: Any) -> Any:
        """Sum (r^2 - 1) / 2 - log r + d^2 / 2, where r is the ratio of the scales, and d the distance in other's."""
        if type(other) is not type(self):
            raise self._missing(f"kl_divergence from {type(self).__name__} to {type(other).__name__}")
        require_one_event(self, other)
        loc, scale, xp = self._full(like)
        other_loc, other_scale, _ = other._full(like)
        ratio = xp.log(scale) - xp.log(other_scale)
        distance = (loc - other_loc) / other_scale
        return summed(0.5 * xp.expm1(2.0 * ratio) - ratio + 0.5 * distance * distance, self._event_ndims, xp)
