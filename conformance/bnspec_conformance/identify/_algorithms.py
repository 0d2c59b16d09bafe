"""Findings about the algorithm: how the variance is taken, what the output is, and what sums are formed in."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import bounds, expectation
from bnspec_conformance.bounds import FORMATS, NAIVE, Algorithm
from bnspec_conformance.cases import to_rows

from ._cases import CHANNELS, FromZero, Loaded
from ._degenerate import NEEDED
from ._fit import evaluated, misfit, shown
from ._probe import predicted
from ._result import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    for dtype, draw in _FAR.items():
        topic = "variance algorithm"
        if dtype in probe.gaps:
            yield Finding(topic, dtype, "not measured", probe.gaps[dtype])
            continue
        case = probe.case(FromZero, f"far-{dtype}", (8,), dtype=dtype, draw=draw)
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
        exact = wanted.exact.to_float().reshape(-1)
        evidence = (
            f"moving_variance is {shown(seen)}, exactly {shown(exact)}, at a mean of 2^{_RATIOS[dtype]} deviations: "
        )
        evidence += ", ".join(f"{ratio:.2g} of the bound of {name}" for name, ratio in ratios.items())
        yield Finding(topic, dtype, value, evidence)


def output(probe: Probe) -> Iterator[Finding]:
    """Find whether the output is centred, or the mean is folded into the offset, in evaluation."""
    for dtype, exponent in _RATIOS.items():
        topic = "output in evaluation"
        if dtype in probe.gaps:
            yield Finding(topic, dtype, "not measured", probe.gaps[dtype])
            continue
        case = probe.case(_FarState, f"output-{dtype}", (8,), dtype=dtype, mean=2.0**exponent, draw=_FAR[dtype])
        y = np.asarray(probe.build(case)(case.training[0].copy(), False))
        assert case.gamma is not None  # noqa: S101 - narrows the type
        assert case.beta is not None  # noqa: S101 - narrows the type
        rows = to_rows(case.training[0], case.axis)
        given = (case.moving_mean, case.moving_variance, case.epsilon, case.gamma, case.beta, dtype)
        centred, folded = (misfit(to_rows(y, case.axis), wanted) for wanted in evaluated(rows.astype(dtype), *given))
        value = "centred" if centred <= 1.0 else "folded" if folded <= 1.0 else "neither centred nor folded"
        evidence = (
            f"at a mean of 2^{exponent} deviations, {centred:.2g} of the bound of centring, {folded:.2g} of folding"
        )
        yield Finding(topic, dtype, value, evidence)


def accumulation(probe: Probe) -> Iterator[Finding]:
    """Find what sums are formed in, from the mean of numbers whose large parts cancel."""
    probe.require(*NEEDED)
    for dtype, draw in _CANCELLING.items():
        topic = "accumulation"
        if dtype in probe.gaps:
            yield Finding(topic, dtype, "not measured", probe.gaps[dtype])
            continue
        form = "float64" if dtype == "float64" else "float32"
        case = probe.case(FromZero, f"sums-{dtype}", (8,), dtype=dtype, draw=draw)
        try:
            seen = probe.train(case).steps[0].moving_mean
            plain = _plain(probe, dtype)
        except Exception as error:  # noqa: BLE001 - one dtype is refused, not all
            yield Finding(topic, dtype, "not measured", f"raised {type(error).__name__}: {str(error)[:120]}")
            continue
        wanted = predicted(case, probe.convention(), _TWO_PASSES)[0].moving_mean
        exact = wanted.exact.to_float()
        once = expectation.Expected(wanted.exact, bounds.wide_average(exact, FORMATS[form]))
        ratios = misfit(seen, once), max(misfit(seen, wanted), plain)
        if ratios[0] <= 1.0 and plain <= 1.0:
            value = f"wider than {form}, or compensated"
        else:
            value = form if ratios[1] <= 1.0 else f"narrower than {form}"
        evidence = (
            f"moving_mean is {shown(seen)}, exactly {shown(exact)}, of numbers up to 2^{_LARGE[dtype]}: "
            f"{ratios[0]:.2g} of the bound of one rounding; there and on plain numbers, {ratios[1]:.2g} of the bound "
            f"of sums in {form}"
        )
        yield Finding(topic, dtype, value, evidence)


def _plain(probe: Probe, dtype: str) -> float:
    """Return the misfit of the mean of numbers of one sign and size, which a narrower format cannot hold."""
    case = probe.case(FromZero, f"plain-{dtype}", (16,), dtype=dtype)
    wanted = predicted(case, probe.convention(), _TWO_PASSES)[0].moving_mean
    return misfit(probe.train(case).steps[0].moving_mean, wanted)
