"""Extended: what distributions that are made of one other share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.distributions._base import Distribution, require_one_event
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Extended", "require_distribution"]


class Extended(Distribution):
    """A distribution whose events are made of several draws of another.

    Parameters
    ----------
    distribution : Distribution
        The other; conditions are for it.
    parameters, validate_args, name
        As of :class:`Distribution`; the name is by default that of the class and of the other.

    Raises
    ------
    TypeError
        If `distribution` is none.
    """

    def __init__(
        self, distribution: Distribution, *, parameters: Mapping[str, Any], validate_args: bool, name: str | None
    ) -> None:
        require_distribution(distribution)
        self._distribution = distribution
        super().__init__(
            parameters=parameters,
            validate_args=validate_args,
            dtype=distribution.dtype,
            name=f"{type(self).__name__}{distribution.name}" if name is None else name,
        )

    @property
    def distribution(self) -> Distribution:
        """The distribution that is extended."""
        return self._distribution

    @property
    def dtype(self) -> Any:
        """The dtype of samples and values; None where any real floating one is taken."""
        return self._distribution.dtype

    @property
    def condition_names(self) -> frozenset[str] | None:
        """The names of the conditions that the distribution takes; None where it takes any."""
        return self._distribution.condition_names

    def _like(self) -> Any:
        return self._distribution._like()

    def _require_valid(self) -> None:
        super()._require_valid()
        self._distribution._require_valid()

    def _total(self, of_parts: Any, like: Any) -> Any:
        """Sum what was computed of the parts, of the shape of the batch of the other, over an event."""
        raise NotImplementedError

    def _of_event(self, of_parts: Any) -> Any:
        """Give what was computed of the elements of the parts the shape of the batch and an event."""
        raise NotImplementedError

    def _mean(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._of_event(self._distribution._mean(like, condition))

    def _mode(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._of_event(self._distribution._mode(like, condition))

    def _stddev(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._of_event(self._distribution._stddev(like, condition))

    def _variance(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._of_event(self._distribution._variance(like, condition))

    def _entropy(self, like: Any, condition: dict[str, Any]) -> Any:
        return self._total(self._distribution._entropy(like, condition), like)

    def _kl_divergence(self, other: Any, like: Any) -> Any:
        if type(other) is not type(self):
            raise self._missing(f"kl_divergence from {type(self).__name__} to {type(other).__name__}")
        require_one_event(self, other)
        require_one_event(self.distribution, other.distribution)
        return self._total(self._distribution._kl_divergence(other.distribution, like), like)


def require_distribution(given: Any) -> None:
    """Refuse what is no distribution.

    Parameters
    ----------
    given : object
        What came.

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(given, Distribution):
        raise TypeError(message("distribution must be a Distribution", type=type(given).__name__))
