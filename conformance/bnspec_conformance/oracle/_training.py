"""What first and second derivatives of a training batch are made of."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ._exact import Exact, ObjectArray, combine_times_root
from ._ghosts import Grouping, group
from ._normalizer import Adjustment, Normalizer, adjusted, corrected, normalizer
from ._parts import Numbers, batch_statistics, fit, read, read_fractions, sum_over
from ._rules import Rules, rules_of
from ._weights import read_weighted, read_weights

if TYPE_CHECKING:
    from bnspec.conventions import Convention

__all__ = ["Known", "Training", "plus", "prepare", "same_shape", "times_root"]


class Known(NamedTuple):
    """What goes into a training batch beside x; each is described where the derivatives take it."""

    weights: npt.NDArray[Any] | None = None
    convention: Convention | None = None
    momentum: float | None = None
    num_batches: int = 0
    moving_mean: Numbers | None = None
    moving_variance: Numbers | None = None
    virtual_batch_size: int | None = None
    correction: tuple[Numbers, Numbers] | None = None
    adjustment: Adjustment | None = None


class Training(NamedTuple):
    """A training batch divided into groups, with its cotangent. For N = 0, `by` means nothing.

    Arrays of elements have the shape of the groups, the others their kept shape.
    """

    grouping: Grouping
    special: npt.NDArray[np.float64]  # infinities and NaN of x, else 0
    w: Exact  # weights; 1 where there are none
    wc: ObjectArray  # integers: w * (x - m) in units of by.batch.unit * w_unit
    h: Exact  # g * a
    by: Normalizer
    scale: ObjectArray  # fractions: r * gamma
    r: ObjectArray
    d: ObjectArray
    total: ObjectArray  # fractions: sum(h)
    product: ObjectArray  # fractions: sum(h * (x - M))
    cotangents: ObjectArray  # fractions, of the kept shape of the batch: sum(g)
    of_addend: ObjectArray  # fractions, of the kept shape of the batch: sum(g * b)

    @property
    def unit(self) -> Fraction:
        """The unit of the numerators of h."""
        return Fraction(1, 1 << self.h.bits)

    @property
    def w_unit(self) -> Fraction:
        """The unit of the numerators of w."""
        return Fraction(1, 1 << self.w.bits)


def same_shape(name: str, value: Exact, x: Exact) -> None:
    """Require the shape of x."""
    if value.shape != x.shape:
        raise ValueError(f"{name} must have the shape {x.shape} of x. Got shape={value.shape}.")


def _unseen(special: npt.NDArray[np.float64], g: Exact) -> None:
    """Refuse infinities and NaN that would reach the gradients."""
    where = (special != 0) & np.asarray(g.numerators != 0, dtype=bool)
    if where.any():
        index = tuple(int(i) for i in np.argwhere(where)[0])
        raise ValueError(f"the cotangent must be 0 where x is not finite. Got x={special[index]} at index {index}.")


def prepare(
    x: npt.NDArray[Any],
    cotangent: npt.NDArray[Any],
    axis: tuple[int, ...],
    epsilon: float,
    gamma: Numbers | None,
    known: Known,
) -> Training:
    """Read a training batch, and compute what its derivatives are made of.

    Parameters
    ----------
    x, cotangent, axis, epsilon, gamma
        As in `gradients`.
    known : Known
        The rest.

    Returns
    -------
    Training
        For N = 0, only what has no statistics in it means anything.

    Raises
    ------
    ValueError
        As in `gradients`.
    """
    rules = rules_of(
        known.convention,
        epsilon=epsilon,
        momentum=known.momentum,
        virtual_batch_size=known.virtual_batch_size,
        corrected=known.correction is not None,
    )
    weights = known.weights
    frequency = None if weights is None else read_weights(weights, np.shape(x))
    (data, special), g = read_weighted(x, frequency), Exact.from_floats(cotangent)
    same_shape("cotangent", g, data)
    _unseen(special, g)
    grouping = group(data.shape, axis, rules, adjusted=known.adjustment is not None)
    whole, layout = grouping.whole, grouping.layout
    gain = fit("gamma", read_fractions(gamma), whole, 1)
    r, d = (grouping.spread(part.reshape(whole.kept)) for part in corrected(known.correction, whole.parameter))
    pair = adjusted(known.adjustment, data.shape)
    h, of_addend = g, np.full(whole.kept, Fraction(0), dtype=object)
    if pair is not None:
        h = Exact(np.asarray(g.numerators * pair.factor.numerators, dtype=object), g.bits + pair.factor.bits)
        of_addend = _added(g.numerators * pair.addend.numerators, g.bits + pair.addend.bits, whole.reduced)
    averages: tuple[ObjectArray, ObjectArray] | None = None
    if rules.statistics == "running" and known.moving_mean is not None and known.moving_variance is not None:
        averages = (
            fit("moving_mean", read(known.moving_mean).fractions(), whole),
            fit("moving_variance", read(known.moving_variance).fractions(), whole),
        )
    h, w = h.reshape(grouping.shape), Exact(np.full(grouping.shape, 1, dtype=object), 0)
    split = frequency if frequency is None else frequency.reshape(grouping.shape)
    w = w if split is None else split
    if whole.elements == 0:
        # Where there is nothing to add up, any statistics do, if they exist.
        layout, rules, averages = layout._replace(elements=1), Rules(Fraction(1)), None
    batch = batch_statistics(data.reshape(grouping.shape), layout, split)
    by = normalizer(batch, rules, averages, known.num_batches + 1)
    total = _added(h.numerators, h.bits, layout.reduced)
    product = sum_over(h.numerators * batch.centred, layout.reduced) * batch.unit * Fraction(1, 1 << h.bits)
    return Training(
        grouping,
        special.reshape(grouping.shape),
        w,
        np.asarray(w.numerators * batch.centred, dtype=object),
        h,
        by,
        grouping.spread(gain) * r,
        r,
        d,
        total,
        product + by.shift * total,
        _added(g.numerators, g.bits, whole.reduced),
        of_addend,
    )


def _added(integers: ObjectArray, bits: int, axes: tuple[int, ...]) -> ObjectArray:
    """Add up along axes, which keep size 1, and return fractions."""
    return np.asarray(sum_over(integers, axes) * Fraction(1, 1 << bits), dtype=object)


def times_root(coefficients: ObjectArray, square: ObjectArray) -> Exact:
    """Compute ``coefficients * sqrt(square)``."""
    return combine_times_root([(np.full(coefficients.shape, 1, dtype=object), coefficients)], square)


def plus(exact: Exact, addend: ObjectArray) -> Exact:
    """Add dyadic fractions without rounding; the guarantee of `Exact` stays that of the first summand."""
    bits = max([exact.bits, *(value.denominator.bit_length() - 1 for value in addend.ravel().tolist())])
    unit = 1 << bits
    shifted = [value.numerator * (unit // value.denominator) for value in addend.ravel().tolist()]
    added = np.empty(len(shifted), dtype=object)
    added[:] = shifted
    return Exact(np.asarray(exact.at(bits) + added.reshape(exact.shape), dtype=object), bits)
