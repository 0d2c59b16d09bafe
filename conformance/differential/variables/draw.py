"""Draw: what a layer is made with, and what is put into its parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ARGUMENTS", "BEGINS", "options_of"]

BEGINS = ("beta_initializer", "gamma_initializer", "moving_mean_initializer", "moving_variance_initializer")
PENALTIES = ("beta_regularizer", "gamma_regularizer")
LIMITS = ("beta_constraint", "gamma_constraint")
ARGUMENTS = (*BEGINS, *PENALTIES, *LIMITS, "name")
"""In the order of the table."""

_MANY = 2048  # random numbers, so that a distribution can be told


def _random_object(kind: str, random: np.random.Generator) -> dict[str, Any]:
    """Draw an object's configuration, of the form that both sides read."""
    low, size = float(random.uniform(-1.0, 1.0)), float(random.uniform(0.1, 2.0))
    factors = {"l1": float(random.uniform(0.0, 0.5)), "l2": float(random.uniform(0.0, 0.5))}
    seed = int(random.integers(1, 2**31))
    offers: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "initializer": [
            ("Zeros", {}),
            ("Ones", {}),
            ("Constant", {"value": low}),
            ("RandomUniform", {"minval": low, "maxval": low + size, "seed": seed}),
            ("RandomNormal", {"mean": low, "stddev": size, "seed": seed}),
            ("TruncatedNormal", {"mean": low, "stddev": size, "seed": seed}),
        ],
        "regularizer": [("L1", {"l1": factors["l1"]}), ("L2", {"l2": factors["l2"]}), ("L1L2", factors)],
        "constraint": [
            ("NonNeg", {}),
            ("MaxNorm", {"max_value": size, "axis": 0}),
            ("UnitNorm", {"axis": 0}),
            (
                "MinMaxNorm",
                {"min_value": size, "max_value": 2.0 * size, "rate": float(random.uniform(0.0, 1.0)), "axis": 0},
            ),
        ],
    }
    offered = offers[kind]
    name, config = offered[int(random.integers(len(offered)))]
    return {"class_name": name, "config": config}


def options_of(seed: int, number: int) -> dict[str, Any]:
    """Draw what a layer is made with, and the values that are put into its parameters.

    Parameters
    ----------
    seed, number : int
        Which draw it is.

    Returns
    -------
    dict
        ``arguments`` of the layer, ``channels``, and the values of ``gamma`` and ``beta``.
    """
    random = np.random.default_rng([seed, number])
    arguments: dict[str, Any] = {
        "name": f"batch_norm_{number}",
        "dtype": ("float32", "float64")[int(random.integers(2))],
    }
    for names, kind in ((BEGINS, "initializer"), (PENALTIES, "regularizer"), (LIMITS, "constraint")):
        arguments |= {name: _random_object(kind, random) for name in names if random.uniform() < 0.5}
    drawn = any(arguments.get(name, {}).get("config", {}).get("seed") for name in BEGINS)
    channels = _MANY if drawn else (1, 3, 17, 100)[int(random.integers(4))]
    scale = 10.0 ** random.uniform(-3.0, 3.0, 2)
    values = [(size * random.normal(0.2, 1.0, channels)).astype(arguments["dtype"]) for size in scale]
    return {"arguments": arguments, "channels": channels, "gamma": values[0], "beta": values[1]}
