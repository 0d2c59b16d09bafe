"""Independent: a batch of distributions as one distribution of larger events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace
from bnspec.bijectors._reduction import summed
from bnspec.bijectors._shapes import as_ndims
from bnspec.distributions._part import Extended, require_distribution
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.distributions._base import Distribution

__all__ = ["Independent"]


class Independent(Extended):
    """Take the last axes of a batch for axes of the event.

    Parameters
    ----------
    distribution : Distribution
        The distributions, of batch shape (*B, *R).
    reinterpreted_batch_ndims : int
        The number of axes R.
    validate_args : bool
        Accepted for TFP's sake; the distribution checks its own parameters.
    name : str, optional
        By default, ``"Independent"`` and the name of the distribution.

    Raises
    ------
    TypeError
        If an argument is not as described.
    ValueError
        If the batch has not as many axes.

    Notes
    -----
    Log-densities and entropies are summed over R.
    """

    def __init__(
        self,
        distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        require_distribution(distribution)
        self._ndims = as_ndims("reinterpreted_batch_ndims", reinterpreted_batch_ndims, 0)
        if self._ndims > len(distribution.batch_shape):
            raise ValueError(
                message(
                    "reinterpreted_batch_ndims must be at most the rank of the batch",
                    "Sample(distribution, shape) adds independent draws instead.",
                    reinterpreted_batch_ndims=self._ndims,
                    batch_shape=distribution.batch_shape,
                )
            )
        super().__init__(
            distribution,
            parameters={
                "distribution": distribution,
                "reinterpreted_batch_ndims": reinterpreted_batch_ndims,
                "validate_args": validate_args,
                "name": name,
            },
            validate_args=validate_args,
            name=name,
        )

    @property
    def reinterpreted_batch_ndims(self) -> int:
        """The number of axes that became the event's."""
        return self._ndims

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The shape of the batch that is left."""
        batch = self._distribution.batch_shape
        return batch[: len(batch) - self._ndims]

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The axes that were taken, and the event of each distribution."""
        batch = self._distribution.batch_shape
        return (*batch[len(batch) - self._ndims :], *self._distribution.event_shape)

    def _total(self, of_parts: Any, like: Any) -> Any:
        return summed(of_parts, self._ndims, common_namespace(like=like))

    def _inner(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        batch = self._distribution.batch_shape
        return (*shape, *(size for size in batch[len(batch) - self._ndims :] if size is not None))

    def _drawn(self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]) -> Any:
        return self._distribution._drawn(key, self._inner(shape), like, condition)

    def _drawn_with_log_prob(
        self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]
    ) -> tuple[Any, Any]:
        x, log_prob = self._distribution._drawn_with_log_prob(key, self._inner(shape), like, condition)
        return x, self._total(log_prob, x)

    def _log_prob(self, x: Any, condition: dict[str, Any]) -> Any:
        return self._total(self._distribution._log_prob(x, condition), x)

    def _of_event(self, of_parts: Any) -> Any:
        return of_parts
