"""Normal distributions, and extensions of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.bounds import DEFINITION
from differential.bijectors import densities
from differential.bijectors.draw import Family
from differential.bijectors.part import Part
from differential.bijectors.reference import Reference
from differential.bijectors.rules_table import RULES

from .asking import sizes
from .moments import moments
from .probabilities import density, diagonal, normal, quantile, shapes, tails, uniform

if TYPE_CHECKING:
    Options = dict[str, Any]

__all__ = ["DENSITIES"]


def _mend(options: Options) -> None:
    if options["kind"] == "Independent":
        options["batch"] = max(1, options["batch"])


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    kind, dtype = options["kind"], options["dtype"]
    batch, more = (sizes(random, 1, 4, options[name]) for name in ("batch", "more"))
    base = normal(batch, options, random)
    part = base
    if kind == "MultivariateNormalDiag":
        part = diagonal(batch, int(random.integers(1, 5)), options, random)
    elif kind == "Independent":
        count = int(random.integers(1, options["batch"] + 1))
        part = Part("Independent", {"reinterpreted_batch_ndims": count}, (base,))
    elif kind == "Sample":
        own = sizes(random, 1, 4, int(random.integers(1, 3)))
        part = Part("Sample", {"sample_shape": list(own)}, (base,))
    spread = 12.0 if options["data"] == "tails" else 2.0
    of_batch, event = densities.shapes(Reference(dtype, DEFINITION, RULES, {}), part)
    x = uniform(random, -spread, spread, (*more, *of_batch, *event), dtype)
    questions = [*shapes(part), *density(part, x)]
    if kind == "Normal":
        p = uniform(random, 0.0, 1.0, (*more, *batch), dtype)
        p = p if options["data"] == "tails" else np.asarray(0.02 + 0.96 * p, dtype=dtype)
        questions += [*tails(base, None, x), quantile(base, None, p)]
    return lambda side: side.make(part), [*questions, *moments(part)], None


DENSITIES = Family(
    {
        "kind": ("Normal", "MultivariateNormalDiag", "Independent", "Sample"),
        "dtype": ("float32", "float64"),
        "batch": (0, 1, 1, 2),
        "more": (0, 1, 1),
        "data": ("near", "near", "tails"),
    },
    _mend,
    _drawn,
)
"""Densities, probabilities, quantiles and moments."""
