"""TransformedDistribution: the distribution of what a bijector makes of draws."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from bnspec.arrays import broadcast_shapes, common_namespace, device_of, fits, shape_of, sizes_of
from bnspec.bijectors._contract import applied
from bnspec.bijectors._parts import require_bijectors
from bnspec.distributions._base import Distribution
from bnspec.distributions._conditions import names_of, split
from bnspec.distributions._part import require_distribution
from bnspec.errors import message
from bnspec.variables import common_like

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec.bijectors import Bijector

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of ``bijector.forward(x)``, x being drawn from another distribution.

    Parameters
    ----------
    distribution : Distribution
        The base. The rank of its event is at least what the bijector maps.
    bijector : Bijector
        The map; its parameters may have a larger batch, with which that of the base is broadcast.
    kwargs_split_fn : callable, optional
        Maps all conditions to a pair of mappings: those of the distribution, and those of the bijector. By default
        each gets those that it takes, and those of the mappings ``distribution_kwargs`` and ``bijector_kwargs``.
    validate_args : bool
        Whether the bijector checks values, even if it was not told so itself; the base checks its own.
    name : str, optional
        By default, the names of the bijector and of the distribution.

    Raises
    ------
    TypeError
        If an argument is not as described, or the two have parameters of several libraries or dtypes.
    ValueError
        If the event of the base does not fit the bijector.

    Notes
    -----
    ``log_prob`` is log_prob of the base at the inverse, plus the log-det that is returned with that inverse: a
    bijector that normalizes by a batch is asked once. Where several x have one image, the densities of all are added;
    the base is asked once for all of them, one after the other along the first axis: one that normalizes by a batch
    does so by the batch of all, and its averages move once.

    ``kl_divergence`` is that of the bases, which an injective map leaves alone, where both have the same bijector. Like
    samples it is of the map forward, which knows no training: it normalizes by no batch and changes no variable.

    Mean and deviations exist where the bijector is known to be affine, mode and entropy where its Jacobian is constant,
    cdf and quantile where it is a map of numbers that is known to rise or to fall, for each of its parameters.
    """

    def __init__(
        self,
        distribution: Distribution,
        bijector: Bijector,
        kwargs_split_fn: Callable[[dict[str, Any]], tuple[Any, Any]] | None = None,
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        require_distribution(distribution)
        (self._bijector,) = require_bijectors("bijector", [bijector])
        if kwargs_split_fn is not None and not callable(kwargs_split_fn):
            raise TypeError(
                message(
                    "kwargs_split_fn must be a function of all conditions, or None",
                    "Let it return a pair of mappings.",
                    kwargs_split_fn=kwargs_split_fn,
                )
            )
        self._distribution = distribution
        self._kwargs_split_fn = kwargs_split_fn
        rank, minimum = len(distribution.event_shape), bijector.forward_min_event_ndims
        if rank < minimum:
            raise ValueError(
                message(
                    "the event of the distribution must have the rank that the bijector maps",
                    "Wrap it in Sample(distribution, shape) or in Independent(distribution, ndims).",
                    event_shape=distribution.event_shape,
                    forward_min_event_ndims=minimum,
                )
            )
        super().__init__(
            parameters={
                "distribution": distribution,
                "bijector": bijector,
                "kwargs_split_fn": kwargs_split_fn,
                "validate_args": validate_args,
                "name": name,
            },
            validate_args=validate_args,
            name=f"{bijector.name}{distribution.name}" if name is None else name,
        )
        self._common()
        _ = self.event_shape, self.batch_shape  # refused here where they do not fit

    @property
    def distribution(self) -> Distribution:
        """The base."""
        return self._distribution

    @property
    def bijector(self) -> Bijector:
        """What draws of the base are mapped by."""
        return self._bijector

    @property
    def batch_shape(self) -> tuple[int | None, ...]:
        """The batch of the base, broadcast with that of the bijector's parameters."""
        own = self._bijector.parameter_batch_shape(len(self._distribution.event_shape))
        return broadcast_shapes(self._distribution.batch_shape, own)

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """What the bijector makes of the event of the base."""
        return self._bijector.forward_event_shape(self._distribution.event_shape)

    @property
    def dtype(self) -> Any:
        """The dtype of samples and values; None where any real floating one is taken."""
        return self._common()[1]

    @property
    def condition_names(self) -> frozenset[str] | None:
        """The names of the conditions; None where any is taken."""
        return None if self._kwargs_split_fn else names_of(self._distribution, self._bijector)

    def _common(self) -> tuple[Any, Any]:
        return common_like({"distribution": self._distribution, "bijector": self._bijector})

    def _like(self) -> Any:
        return self._common()[0]

    def _require_valid(self) -> None:
        super()._require_valid()
        self._distribution._require_valid()

    def _split(self, condition: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the conditions of the base, and those of the bijector."""
        if self._kwargs_split_fn is None:
            return split(self._distribution, self._bijector, condition)
        of_base, of_bijector = self._kwargs_split_fn(dict(condition))
        given = {"distribution_kwargs": of_base, "bijector_kwargs": of_bijector}
        return split(self._distribution, self._bijector, given)

    def _drawn(self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]) -> Any:
        of_base, of_bijector = self._split(condition)
        x = self._distribution._drawn(key, shape, like, of_base)
        return self._checked(self._mapped("forward", x, of_bijector), shape)

    def _drawn_with_log_prob(
        self, key: Any, shape: tuple[int, ...], like: Any, condition: dict[str, Any]
    ) -> tuple[Any, Any]:
        if not self._bijector.is_injective:
            return super()._drawn_with_log_prob(key, shape, like, condition)
        of_base, of_bijector = self._split(condition)
        x, log_prob = self._distribution._drawn_with_log_prob(key, shape, like, of_base)
        y, log_det = self._with_log_det("forward", x, of_bijector)
        return self._checked(y, shape), log_prob - log_det()

    def _checked(self, y: Any, shape: tuple[int, ...]) -> Any:
        """Refuse parameters that made a draw larger, so that its elements would not be independent."""
        wanted = (*shape, *self.event_shape)
        if not fits(shape_of(y), wanted):
            raise ValueError(
                message(
                    f"the parameters of {self._bijector.name} must not be larger than an event and the batch",
                    "Broadcast the parameters of the base to their shape.",
                    required=wanted,
                    shape=shape_of(y),
                )
            )
        return y

    def _log_prob(self, x: Any, condition: dict[str, Any]) -> Any:
        of_base, of_bijector = self._split(condition)
        before, log_det = self._with_log_det("inverse", x, of_bijector)
        if self._bijector.is_injective:
            return self._distribution._log_prob(before, of_base) + log_det()
        of_each = self._of_each(before, of_base)
        return reduce(common_namespace(x=x).logaddexp, [p + one for p, one in zip(of_each, log_det(), strict=True)])

    def _of_each(self, preimages: tuple[Any, ...], of_base: dict[str, Any]) -> list[Any]:
        """Ask the base once for all preimages, which lie one after the other along the first axis of the samples.

        They have the rank that one of them has, so that a layer that counts its axes from the front finds its own. An
        input of one sample gets an axis for that, in front of the base's batch.
        """
        xp = common_namespace(x=preimages[0])
        rank = len(self._distribution.batch_shape) + len(self._distribution.event_shape) + 1
        missing = max(rank - len(shape_of(preimages[0])), 0)
        apart = [xp.reshape(x, ((1,) * missing + sizes_of(x))) for x in preimages] if missing else list(preimages)
        found = self._distribution._log_prob(xp.concat(apart, axis=0), of_base)
        found = xp.reshape(found, (len(apart), sizes_of(apart[0])[0], *sizes_of(found)[1:]))
        return [found[number, 0, ...] if missing else found[number, ...] for number in range(len(apart))]

    def _mean(self, like: Any, condition: dict[str, Any]) -> Any:
        of_base, of_bijector = self._split(condition)
        self._require(self._bijector.is_affine, "mean")
        return self._mapped("forward", self._distribution._mean(like, of_base), of_bijector)

    def _mode(self, like: Any, condition: dict[str, Any]) -> Any:
        of_base, of_bijector = self._split(condition)
        self._require(self._is_constant(), "mode")
        return self._mapped("forward", self._distribution._mode(like, of_base), of_bijector)

    def _stddev(self, like: Any, condition: dict[str, Any]) -> Any:
        of_base, of_bijector = self._split(condition)
        self._require(self._bijector.is_affine, "stddev")
        stretched = self._bijector._linear_part("forward", self._distribution._stddev(like, of_base), of_bijector)
        return common_namespace(like=like).abs(stretched)

    def _covariance(self, like: Any, condition: dict[str, Any]) -> Any:
        of_base, of_bijector = self._split(condition)
        vectors = len(self._distribution.event_shape) == len(self.event_shape) == 1
        self._require(self._bijector.is_affine and vectors, "covariance")
        xp = common_namespace(like=like)
        covariance = self._distribution._covariance(like, of_base)
        sizes = sizes_of(covariance)
        # The rows come in front of the batch, which must then have the rank of the parameters'.
        covariance = xp.reshape(covariance, ((1,) * (len(self.batch_shape) + 2 - len(sizes)) + sizes))
        for _ in range(2):  # the linear part of every row, and then of every column
            rank = len(shape_of(covariance))
            rows = xp.permute_dims(covariance, (rank - 2, *range(rank - 2), rank - 1))
            mapped = self._bijector._linear_part("forward", rows, of_bijector)
            rank = len(shape_of(mapped))
            covariance = xp.permute_dims(mapped, (*range(1, rank), 0))
        return covariance

    def _entropy(self, like: Any, condition: dict[str, Any]) -> Any:
        of_base, of_bijector = self._split(condition)
        event = self._distribution.event_shape
        self._require(self._is_constant() and None not in event, "entropy", "Estimate it by -log_prob of samples.")
        anywhere = common_namespace(like=like).zeros(event, dtype=like.dtype, device=device_of(like))
        _, log_det = self._with_log_det("forward", anywhere, of_bijector)
        return self._distribution._entropy(like, of_base) + log_det()

    def _kl_divergence(self, other: Any, like: Any) -> Any:
        equal = isinstance(other, TransformedDistribution) and other.bijector == self._bijector
        self._require(equal, "kl_divergence where the bijectors differ", "Estimate it by the log_probs of samples.")
        needed = "kl_divergence where several inputs have one output"
        self._require(self._bijector.is_injective, needed, "Estimate it by the log_probs of samples.")
        found = self._distribution._kl_divergence(other.distribution, like)
        own = self._bijector.parameter_batch_shape(len(self._distribution.event_shape))
        if None in own:
            raise ValueError(message("the batch of the bijector must be known for a divergence", batch_shape=own))
        return found + common_namespace(like=like).zeros(own, dtype=like.dtype, device=device_of(like))

    def _cdf(self, x: Any, condition: dict[str, Any]) -> Any:
        return self._below("_cdf", "_survival_function", x, condition)

    def _log_cdf(self, x: Any, condition: dict[str, Any]) -> Any:
        return self._below("_log_cdf", "_log_survival_function", x, condition)

    def _survival_function(self, x: Any, condition: dict[str, Any]) -> Any:
        return self._below("_survival_function", "_cdf", x, condition)

    def _log_survival_function(self, x: Any, condition: dict[str, Any]) -> Any:
        return self._below("_log_survival_function", "_log_cdf", x, condition)

    def _quantile(self, p: Any, condition: dict[str, Any]) -> Any:
        return self._reached("_quantile", "_inverse_survival_function", p, condition)

    def _inverse_survival_function(self, p: Any, condition: dict[str, Any]) -> Any:
        return self._reached("_inverse_survival_function", "_quantile", p, condition)

    def _below(self, rising: str, falling: str, x: Any, condition: dict[str, Any]) -> Any:
        """Ask the base at the inverse: for the one function where the map rises, for the other where it falls."""
        of_base, of_bijector = self._split(condition)
        rise = self._rises(rising.lstrip("_"), x, of_bijector)
        return self._either(rise, rising, falling, self._mapped("inverse", x, of_bijector), of_base)

    def _reached(self, rising: str, falling: str, p: Any, condition: dict[str, Any]) -> Any:
        """Map what the base says: the one function of it where the map rises, the other where it falls."""
        of_base, of_bijector = self._split(condition)
        rise = self._rises("quantile", p, of_bijector)
        return self._mapped("forward", self._either(rise, rising, falling, p, of_base), of_bijector)

    def _rises(self, which: str, like: Any, of_bijector: dict[str, Any]) -> Any:
        """Tell where the map rises; refuse one that may do both."""
        found = self._bijector._is_increasing(like, of_bijector) if self.event_shape == () else None
        self._require(found is not None, which)
        return found

    def _either(self, rise: Any, rising: str, falling: str, x: Any, of_base: dict[str, Any]) -> Any:
        """Ask the base for one function or the other; for both where parameters alone tell which it is."""
        if isinstance(rise, bool):
            return getattr(self._distribution, rising if rise else falling)(x, of_base)
        found = (getattr(self._distribution, which)(x, of_base) for which in (rising, falling))
        return common_namespace(x=x).where(rise, *found)

    def _mapped(self, direction: str, x: Any, of_bijector: dict[str, Any]) -> Any:
        return self._bijector.mapped(direction, x, of_bijector, validate=self.validate_args)[0]

    def _with_log_det(self, direction: str, x: Any, of_bijector: dict[str, Any]) -> tuple[Any, Any]:
        rank = len(self.event_shape if direction == "inverse" else self._distribution.event_shape)
        return self._bijector.mapped_with_log_det(direction, x, rank, of_bijector, validate=self.validate_args)

    def _is_constant(self) -> bool:
        return self._bijector.is_constant_jacobian and self._bijector.is_injective

    def _require(self, known: bool, which: str, cure: str = "Estimate it from samples.") -> None:
        if not known:
            raise self._missing(which, cure)


@applied.register(Distribution)
def _(value: Distribution, bijector: Bijector, name: str | None, kwargs: dict[str, Any]) -> TransformedDistribution:
    """Transform a distribution; one that is transformed already gets a chain, where that has an inverse."""
    if isinstance(value, TransformedDistribution) and value.bijector.is_injective and bijector.is_injective:
        kept = {key: value._parameters[key] for key in ("kwargs_split_fn", "validate_args")}
        return TransformedDistribution(value.distribution, bijector(value.bijector), **{**kept, **kwargs}, name=name)
    return TransformedDistribution(value, bijector, **kwargs, name=name)
