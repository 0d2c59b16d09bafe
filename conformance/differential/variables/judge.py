"""Judge: how far a layer's variables, losses and constraints are from the exact ones, as fractions of the bounds."""

from __future__ import annotations

from math import inf
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from mpmath import mp, mpf

from bnspec_conformance.bounds import FORMATS, empirical, penalty, projection

from .draw import BEGINS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["judge"]

_CHANCE = 1e-9  # that an initializer without fault is accused, for each draw
_FUZZ = "1e-7"
_DIGITS = 40


def _begin(found: Array, made: Mapping[str, Any], dtype: str) -> float:
    """Judge initial values: a constant to the bit, random numbers by their distribution."""
    config, kind = made["config"], made["class_name"]
    if kind in ("Zeros", "Ones", "Constant"):
        wanted = np.asarray(config.get("value", float(kind == "Ones")), dtype)
        return 0.0 if (found == wanted).all() else inf
    count = len(found)
    standard = NormalDist()
    ordered = np.sort(np.asarray(found, np.float64))
    if kind == "RandomUniform":
        # An end is rounded to the dtype, and so is what is drawn.
        ends = np.asarray([config["minval"], config["maxval"]], dtype)
        if not (ends[0] <= found).all() or not (found <= ends[1]).all():
            return inf
        below = (ordered - config["minval"]) / (config["maxval"] - config["minval"])
    else:
        z = (ordered - config["mean"]) / config["stddev"]
        below = np.asarray([standard.cdf(each) for each in z])
        if kind == "TruncatedNormal":
            # Two deviations from the mean, each rounded.
            if not (np.abs(z) <= 2.0 + 16.0 * FORMATS[dtype].roundoff / config["stddev"]).all():
                return inf
            below = (below - standard.cdf(-2.0)) / (standard.cdf(2.0) - standard.cdf(-2.0))
    steps = np.arange(count + 1) / count
    distance = max(float(np.max(steps[1:] - below)), float(np.max(below - steps[:-1])))
    return distance / empirical(count, _CHANCE)


def _penalty(found: float, value: Array, made: Mapping[str, Any], dtype: str) -> float:
    """Judge a loss."""
    config = made["config"]
    with mp.workdps(_DIGITS):
        numbers = [mpf(float(each)) for each in value]
        exact = mpf(config.get("l1", 0.0)) * sum(map(abs, numbers)) + mpf(config.get("l2", 0.0)) * sum(
            each * each for each in numbers
        )
        return float(abs(mpf(found) - exact)) / penalty(float(exact), len(value), FORMATS[dtype])


def _projection(found: Array, value: Array, made: Mapping[str, Any], dtype: str) -> float:
    """Judge what a constraint makes of a parameter."""
    config, kind = made["config"], made["class_name"]
    if kind == "NonNeg":
        return 0.0 if np.array_equal(found, np.where(value < 0, 0, value)) else inf
    low, high = {"MaxNorm": (0.0, config.get("max_value")), "UnitNorm": (1.0, 1.0)}.get(
        kind, (config.get("min_value"), config.get("max_value"))
    )
    rate = config.get("rate", 1.0)
    with mp.workdps(_DIGITS):
        numbers = [mpf(float(each)) for each in value]
        norm = mp.sqrt(sum(each * each for each in numbers))
        wanted = rate * min(max(norm, mpf(low)), mpf(high)) + (1 - mpf(rate)) * norm
        exact = [each * wanted / (mpf(_FUZZ) + norm) for each in numbers]
        error = np.asarray([float(abs(mpf(float(seen)) - each)) for seen, each in zip(found, exact, strict=True)])
    bound = projection(np.asarray([float(each) for each in exact]), len(value), FORMATS[dtype])
    return float(np.max(error / bound))


def judge(options: Options, make: Callable[[Options], Any]) -> dict[str, float]:
    """Make a layer, and judge each argument that it was given.

    Parameters
    ----------
    options : dict
        As of :func:`options_of`.
    make : callable
        Makes a layer of them.

    Returns
    -------
    dict
        Argument to its worst error as a fraction of the bound.
    """
    arguments = options["arguments"]
    dtype, layer = arguments["dtype"], make(options)
    ratios = {"name": 0.0 if layer.name() == arguments["name"] else inf}
    for name in BEGINS:
        if name in arguments:
            ratios[name] = _begin(layer.value(name.removesuffix("_initializer")), arguments[name], dtype)
    for name in ("gamma", "beta"):
        layer.assign(name, options[name])
    given = [name for name in ("gamma", "beta") if f"{name}_regularizer" in arguments]
    losses = layer.losses()
    for number, name in enumerate(given):
        argument = f"{name}_regularizer"
        found = losses[number] if len(losses) == len(given) else inf
        ratios[argument] = _penalty(found, options[name], arguments[argument], dtype)
    layer.constrain()
    for name in ("gamma", "beta"):
        argument = f"{name}_constraint"
        if argument in arguments:
            ratios[argument] = _projection(layer.value(name), options[name], arguments[argument], dtype)
        elif not np.array_equal(layer.value(name), options[name]):
            ratios[argument] = inf  # nobody asked for it
    return ratios
