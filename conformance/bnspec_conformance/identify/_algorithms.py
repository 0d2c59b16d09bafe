"""Findings about the algorithm: how the variance is taken, what the output is, and what sums are formed in."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds
from bnspec_conformance.bounds import FORMATS, NAIVE, Algorithm
from bnspec_conformance.cases import to_rows
from bnspec_conformance.expectation import Expected

from ._cases import CHANNELS, FromZero, Loaded
from ._degenerate import NEEDED
from ._fit import evaluated, misfit, shown
from ._probe import predicted, said
from ._result import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ._probe import Probe

    Array = np.ndarray[Any, Any]

__all__ = ["accumulation", "output", "variance"]

_ONE_PASS = Algorithm("one pass", NAIVE.additions, "one-pass", quotient=True, coarse=True)
_TWO_PASSES = Algorithm("two passes", NAIVE.additions, "perturbed", quotient=True, coarse=True)

# By dtype, powers of 2: mean over deviation at which one pass loses the variance, and a folded mean the output.
# Half precision cannot hold data that is so far from 0.
_RATIOS = {"float32": 13, "float64": 27}
# No power of 2, so that products with the mean are rounded.
_SCALE = 1.37
# Powers of 2 of a number beside which the format of the state, and so float32 for half precision, cannot hold 1.
_LARGE = {"float16": 15, "bfloat16": 30, "float32": 30, "float64": 60}


def _far(exponent: int, shape: tuple[int, ...], number: int) -> Array:
    """Draw data of deviation 1, far from 0 and off the grid of squares that one pass would take exactly."""
    random = np.random.default_rng([17, number])
    values: Array = _SCALE * 2.0**exponent + random.normal(0.0, 1.0, shape)
    return values


def _cancelling(exponent: int, shape: tuple[int, ...], number: int) -> Array:
    """Lay pairs of large numbers that cancel between small ones, so that no order of adding in pairs finds them."""
    size = int(np.prod(shape)) // 3
    large = np.asarray([1.0, 0.0, 0.0, 0.75, -1.0, 0.0, -0.75, 0.0])[:size] * 2.0**exponent
    small = np.asarray([0.0, 1.25, 0.5, 0.0, 0.0, 1.75, 0.0, 0.625])[:size] * 2.0 ** min(exponent - 26, 0)
    column = (large + small).reshape([size if length == size else 1 for length in shape])
    values: Array = np.broadcast_to(column, shape).copy()
    return values


class _FarState(Loaded):
    """A case whose averages are as far from 0 as its data, and less than a deviation away from them."""

    @cached_property
    def moving_mean(self) -> Array:
        """Averages near the data."""
        near = _SCALE * self.mean + 0.3 * np.arange(CHANNELS)
        return self._cast(near, self.parameter_dtype)

    @cached_property
    def moving_variance(self) -> Array:
        """Variances of the size of 1."""
        return self._cast(1.0 + 0.7 * np.arange(CHANNELS), self.parameter_dtype)


_FAR = {dtype: partial(_far, exponent) for dtype, exponent in _RATIOS.items()}
_CANCELLING = {dtype: partial(_cancelling, exponent) for dtype, exponent in _LARGE.items()}


def variance(probe: Probe) -> Iterator[Finding]:
    """Find by which algorithm the variance is taken, from data far from 0."""
    probe.require(*NEEDED)

    def measured(dtype: str) -> tuple[str, str]:
        case = probe.case(FromZero, f"far-{dtype}", (8,), dtype=dtype, draw=_FAR[dtype])
        seen = probe.train(case).steps[0].moving_variance
        ratios = {}
        for grade in (_TWO_PASSES, _ONE_PASS):
            wanted = predicted(case, probe.convention(), grade)[0].moving_variance
            ratios[grade.name] = misfit(seen, wanted)
        value = next((name for name, ratio in ratios.items() if ratio <= 1.0), "worse than one pass")
        if value == "two passes":
            value = "two passes, or as good"
        elif (np.asarray(seen) < 0).any():
            value += ", and may be negative"
        numbers = f"moving_variance is {shown(seen)}, exactly {shown(wanted.exact.to_float())}"
        told = ", ".join(f"{ratio:.2g} of the bound of {name}" for name, ratio in ratios.items())
        return value, f"{numbers}, at a mean of 2^{_RATIOS[dtype]} deviations: {told}"

    yield from _in_each("variance algorithm", _RATIOS, probe, measured)


def output(probe: Probe) -> Iterator[Finding]:
    """Find whether the output is centred, or the mean is folded into the offset, in evaluation."""

    def measured(dtype: str) -> tuple[str, str]:
        mean = 2.0 ** _RATIOS[dtype]
        case = probe.case(_FarState, f"output-{dtype}", (8,), dtype=dtype, mean=mean, draw=_FAR[dtype])
        y = np.asarray(probe.build(case)(case.training[0].copy(), False))
        assert case.gamma is not None  # noqa: S101 - narrows the type
        assert case.beta is not None  # noqa: S101 - narrows the type
        rows = to_rows(case.training[0], case.axis).astype(dtype)
        given = (case.moving_mean, case.moving_variance, case.epsilon, case.gamma, case.beta, dtype)
        centred, folded = (misfit(to_rows(y, case.axis), wanted) for wanted in evaluated(rows, *given))
        value = "centred" if centred <= 1.0 else "folded" if folded <= 1.0 else "neither centred nor folded"
        told = f"{centred:.2g} of the bound of centring, {folded:.2g} of folding"
        return value, f"at a mean of 2^{_RATIOS[dtype]} deviations, {told}"

    yield from _in_each("output in evaluation", _RATIOS, probe, measured)


def accumulation(probe: Probe) -> Iterator[Finding]:
    """Find what sums are formed in, from the mean of numbers whose large parts cancel, and from that of plain ones."""
    probe.require(*NEEDED)

    def mean_of(case: Loaded) -> tuple[Array, Expected]:
        wanted = predicted(case, probe.convention(), _TWO_PASSES)[0].moving_mean
        return probe.train(case).steps[0].moving_mean, wanted

    def measured(dtype: str) -> tuple[str, str]:
        form = "float64" if dtype == "float64" else "float32"
        # A narrower format cannot hold plain numbers, and a wider one can hold those that cancel.
        plain = misfit(*mean_of(probe.case(FromZero, f"plain-{dtype}", (16,), dtype=dtype)))
        seen, wanted = mean_of(probe.case(FromZero, f"sums-{dtype}", (8,), dtype=dtype, draw=_CANCELLING[dtype]))
        exact = wanted.exact.to_float()
        once = misfit(seen, Expected(wanted.exact, bounds.wide_average(exact, FORMATS[form])))
        usual = max(misfit(seen, wanted), plain)
        value = form if usual <= 1.0 else f"narrower than {form}"
        if once <= 1.0 and plain <= 1.0:
            value = f"wider than {form}, or compensated"
        numbers = f"moving_mean is {shown(seen)}, exactly {shown(exact)}, of numbers up to 2^{_LARGE[dtype]}"
        told = f"{once:.2g} of the bound of one rounding; there and on plain numbers, {usual:.2g} of that of {form}"
        return value, f"{numbers}: {told}"

    yield from _in_each("accumulation", _LARGE, probe, measured)


def _in_each(
    topic: str, dtypes: Iterable[str], probe: Probe, measured: Callable[[str], tuple[str, str]]
) -> Iterator[Finding]:
    """Measure in each dtype; what one of them refuses, the others may not."""
    for dtype in dtypes:
        try:
            probe.require_capability(dtype)
            value, evidence = measured(dtype)
        except Exception as error:  # noqa: BLE001 - what a stranger's code raises is what is reported
            value, evidence = "not measured", said(error)
        yield Finding(topic, dtype, value, evidence)
