"""What a running average holds of its batches and of its initial value, and how one kind becomes another."""

from __future__ import annotations

from decimal import Decimal
from math import expm1, log1p
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bnspec.batchnorm._update import correction_of
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._definition import BatchNorm

__all__ = ["UNCHANGED", "Average", "Change", "averages", "change", "opposite"]


def opposite(momentum: float) -> float:
    """Return 1 - momentum as it is written.

    Parameters
    ----------
    momentum : float
        In [0, 1].

    Returns
    -------
    float
        The number nearest to 1 minus the shortest decimal that reads as `momentum`.

    Notes
    -----
    The difference of the binary numbers would not come back: ``1 - 0.9`` is 0.09999999999999998.

    Examples
    --------
    >>> opposite(0.1), opposite(0.9)
    (0.9, 0.1)
    """
    return float(1 - Decimal(repr(float(momentum))))


class Average(NamedTuple):
    """One running average of a configuration.

    Attributes
    ----------
    name : str
        The field of the state, for messages.
    kind : {"exponential", "debiased", "first"}
        As of :class:`bnspec.conventions.Convention`; without a momentum it says nothing.
    keep, take : float or None
        The weights of the old value and of the batch in an exponential average; None in the cumulative one.
    initial : float
        Where it starts.
    estimator : {"population", "bessel", "bessel_epsilon"}
        What enters it.
    epsilon : float
        That of the last estimator.
    """

    name: str
    kind: Literal["exponential", "debiased", "first"]
    keep: float | None
    take: float | None
    initial: float
    estimator: Literal["population", "bessel", "bessel_epsilon"] = "population"
    epsilon: float = 0.0

    @classmethod
    def of(
        cls,
        name: str,
        kind: Literal["exponential", "debiased", "first"],
        momentum: float | None,
        weighs: str,
        initial: float,
    ) -> Average:
        """Resolve the direction of a momentum.

        Parameters
        ----------
        name, kind, initial
            As of the class.
        momentum : float or None
            As of the configuration.
        weighs : {"old", "new"}
            What it multiplies.

        Returns
        -------
        Average
        """
        other = None if momentum is None else opposite(momentum)
        keep, take = (momentum, other) if weighs == "old" else (other, momentum)
        return cls(name, kind, keep, take, initial)

    @property
    def lasting(self) -> bool:
        """Whether batches leave a share of the initial value."""
        return self.kind == "exponential" and self.keep is not None and self.keep > 0.0

    def pattern(self) -> str:
        """Name how the batches are weighted against each other, up to the momentum."""
        if self.keep is None or (self.kind == "debiased" and self.keep == 1.0):
            return "equal"
        if self.keep == 0.0:
            return "last"
        return "first" if self.kind == "first" else "geometric"

    def weighs_as(self, other: Average) -> bool:
        """Tell whether any number of batches are weighted against each other as in another average."""
        same = self.keep == other.keep or self.take == other.take
        return self.pattern() == other.pattern() and (same or self.pattern() in ("equal", "last"))

    def initial_share(self, number: int) -> float:
        """Return the weight of the initial value after so many batches."""
        if not number:
            return 1.0
        return self.keep**number if self.lasting and self.keep is not None else 0.0

    def batch_share(self, number: int) -> float:
        """Return the weight of all batches together, without the cancellation in 1 minus the initial share."""
        if not number or not self.lasting or self.take is None:
            return float(number > 0)
        if self.take == 1.0:
            return 1.0
        return -expm1(number * log1p(-self.take))

    def divisor(self, count: float) -> float:
        """Return what a sum of squares of so many elements is divided by."""
        left = count - correction_of(self.estimator, self.epsilon)
        return left if left > 0.0 else count

    def described(self) -> str:
        """Describe the weights for a message."""
        return "cumulative" if self.keep is None else f"{self.kind} average that keeps {self.keep}"


def averages(spec: BatchNorm) -> dict[str, Average]:
    """Say what each running average of a configuration holds.

    Parameters
    ----------
    spec : BatchNorm
        The configuration.

    Returns
    -------
    dict of str to Average
        By the field of the state; the variance is among them with renormalization too, from whose stddev it follows.
    """
    convention, initial = spec.convention, spec.convention.initial_variance
    kinds: Any = ("debiased", "exponential") if convention.average == "debiased_mean" else (convention.average,) * 2

    def average(name: str, kind: Any, start: float, momentum: float | None = spec.momentum) -> Average:
        return Average.of(name, kind, momentum, convention.momentum_weighs, start)

    def estimated(found: Average) -> Average:
        return found._replace(estimator=convention.running_variance, epsilon=spec.epsilon)

    found = {
        "moving_mean": average("moving_mean", kinds[0], 0.0),
        "moving_variance": estimated(average("moving_variance", kinds[1], initial)),
    }
    if spec.renorm is None:
        return found
    return found | {
        "moving_stddev": estimated(average("moving_stddev", kinds[1], initial**0.5)),
        "renorm_mean": average("renorm_mean", "exponential", 0.0, spec.renorm.momentum),
        "renorm_stddev": average("renorm_stddev", "exponential", initial**0.5, spec.renorm.momentum),
    }


class Change(NamedTuple):
    """The map from one average to another, ``(value - removed) * scale + added``.

    Attributes
    ----------
    removed : float
        What the initial value contributes to the given one.
    scale : float
        What the contribution of the batches is multiplied by.
    added : float
        What the initial value contributes to the wanted one.
    """

    removed: float
    scale: float
    added: float


UNCHANGED = Change(0.0, 1.0, 0.0)
"""The map that changes nothing."""


def change(source: Average, target: Average, number: int | None, count: float | None) -> Change:
    """Find the map from the average that a number of batches left to the one that they would have left.

    Parameters
    ----------
    source, target : Average
        The given and the wanted average.
    number : int or None
        How many batches entered; None where it is not known.
    count : float or None
        How many elements per channel each of them had; None where it is not known.

    Returns
    -------
    Change
        :data:`UNCHANGED` whenever the two are the same for any number of batches.

    Raises
    ------
    ValueError
        If a number is missing, or the given average does not determine the wanted one.

    Notes
    -----
    With b the average of the batches by weights that sum to 1, and s the share of the initial value i, an average holds
    ``s i + (1 - s) b``. Two averages with the same relative weights hold the same b, but for the estimators, whose
    ratio is constant if all batches had the same number of elements. After one batch, b is that batch in every average.
    """
    name, kinds = source.name, {"source": source.described(), "target": target.described()}
    same_estimator = source.estimator == target.estimator and (
        source.estimator != "bessel_epsilon" or source.epsilon == target.epsilon
    )
    alike = source.weighs_as(target) and source.lasting == target.lasting
    if alike and source.initial == target.initial and same_estimator:
        return UNCHANGED
    if number is None:
        raise ValueError(
            message(
                f"num_batches must say how many batches entered {name}",
                "Give the state an integer array of shape ().",
                num_batches=None,
                **kinds,
                initial=(source.initial, target.initial),
            )
        )
    if not number:
        return UNCHANGED if source.initial == target.initial else Change(source.initial, 0.0, target.initial)
    given, wanted = source.batch_share(number), target.batch_share(number)
    if (number > 1 and not source.weighs_as(target)) or (given == 0.0 < wanted):
        raise ValueError(
            message(
                f"{name} must weight the batches alike in source and target",
                "More than one batch can not be weighted anew. Give the target a convention and momentum with the "
                "source's weights, or take keep='output' and let training go on from there.",
                num_batches=number,
                **kinds,
            )
        )
    ratio = 1.0
    if not same_estimator:
        if count is None:
            raise ValueError(
                message(
                    f"count must say how many elements per channel each batch had, as {name} is estimated otherwise",
                    "Give count=N, or take keep='output'.",
                    count=None,
                    source=source.estimator,
                    target=target.estimator,
                )
            )
        ratio = source.divisor(count) / target.divisor(count)
    scale = 0.0 if wanted == 0.0 else wanted / given * ratio
    return Change(source.initial_share(number) * source.initial, scale, target.initial_share(number) * target.initial)
