"""Gather: draws by argument, known failures, and what makes a run red."""

from __future__ import annotations

from functools import partial
from itertools import product
from math import inf, isnan
from typing import TYPE_CHECKING, Any

import numpy as np

import bnspec

from .draw import ARGUMENTS, options_of
from .judge import judge
from .sides import Ours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Options = dict[str, Any]

__all__ = ["KNOWN", "out_of_place", "probes", "table"]


_TF_KERAS = ("tf_keras v2", "tf_keras v1")
KNOWN: tuple[dict[str, Any], ...] = (
    {
        "name": "tf_keras-nonneg-float64",
        "originals": _TF_KERAS,
        "argument": "gamma_constraint",
        "objects": {"NonNeg": {}},
        "what": "in float64 the constraint raises: it multiplies by a mask that is cast to float32",
        "reference": "https://github.com/keras-team/tf-keras/blob/master/tf_keras/constraints.py (NonNeg)",
    },
    {
        "name": "keras-penalty-float64",
        "originals": (*_TF_KERAS, "keras on tensorflow"),
        "argument": "gamma_regularizer",
        "objects": {"L1": {"l1": 0.1}, "L2": {"l2": 0.1}, "L1L2": {"l1": 0.1, "l2": 0.1}},
        "what": "in float64 the factors l1 and l2 are rounded to float32",
        "reference": "https://github.com/keras-team/keras/blob/master/keras/src/regularizers/regularizers.py (L1, L2)",
    },
    {
        "name": "keras-constant-float64",
        "originals": ("keras on tensorflow",),
        "argument": "gamma_initializer",
        "objects": {"Constant": {"value": 0.1}},
        "what": "in float64 the number is rounded to float32",
        "reference": "https://github.com/keras-team/keras/blob/master/keras/src/initializers/constant_initializers.py",
    },
)
"""What is wrong in an original, all of it in float64: left out of the draws, and tried by itself."""


def _spared(name: str, options: Options) -> Options:
    """Leave out what is known to be wrong in an original."""
    if options["arguments"]["dtype"] != "float64":
        return options
    wrong = {kind for each in KNOWN if name in each["originals"] for kind in each["objects"]}
    kept = {
        key: value
        for key, value in options["arguments"].items()
        if not (isinstance(value, dict) and value["class_name"] in wrong)
    }
    return {**options, "arguments": kept}


def probes(originals: Mapping[str, Callable[[Options], Any]]) -> list[dict[str, Any]]:
    """Try each known failure.

    Parameters
    ----------
    originals : mapping
        Name to what makes a layer.

    Returns
    -------
    list of dict
        Each object of each entry in each of its originals, with what is ``seen``: the error that is raised, or the
        distance from the exact value as a fraction of the bound; empty where nothing is wrong.
    """
    found = []
    values = np.asarray([0.3, -1.7, 2.9])
    for each in KNOWN:
        for name, (kind, config) in product(each["originals"], each["objects"].items()):
            made = {"class_name": kind, "config": config}
            arguments = {"name": "probe", "dtype": "float64", each["argument"]: made}
            seen = ""
            try:
                options = {"arguments": arguments, "channels": len(values), "gamma": values, "beta": values}
                ratio = judge(options, originals[name])[each["argument"]]
                if not ratio <= 1.0:
                    seen = f"{ratio:.0e} bounds" if ratio < inf else "another number"
            except Exception as error:  # noqa: BLE001 - whatever a library raises is a result
                seen = type(error).__name__
            found.append({"name": each["name"], "original": name, "object": kind, "seen": seen})
    return found


def table(count: int, seed: int, originals: Mapping[str, Callable[[Options], Any]], backends: Sequence[str]) -> Any:
    """Judge draws, and gather them by argument.

    Parameters
    ----------
    count, seed : int
        How many draws, and which.
    originals : mapping
        Name to what makes a layer.
    backends : sequence of str
        Where ours runs.

    Returns
    -------
    dict
        Rows as of :func:`differential.summary.arguments`; an error that has no bound is None.
    """
    rows: dict[str, Any] = {name: {"backends": {}, "originals": {}, "ours": 0.0, "original": 0.0} for name in ARGUMENTS}

    def enter(who: str, column: str, worst: str, ratios: Mapping[str, float]) -> None:
        for name, ratio in ratios.items():
            row = rows[name]
            row[column][who] = row[column].get(who, 0) + 1
            row[worst] = max(row[worst], inf if isnan(ratio) else ratio)

    for number in range(count):
        options = options_of(seed, number)
        for name in backends:
            double = name == "jax" and options["arguments"]["dtype"] == "float64"
            backend = bnspec.backend("jax:x64" if double else name)
            enter(name, "backends", "ours", judge(options, partial(Ours, backend=backend)))
        for name, make in originals.items():
            enter(name, "originals", "original", judge(_spared(name, options), make))
    for row in rows.values():
        for worst in ("ours", "original"):
            row[worst] = round(row[worst], 4) if row[worst] < inf else None
    return rows


def out_of_place(found: Mapping[str, Any]) -> list[str]:
    """List what makes a run red.

    Parameters
    ----------
    found : mapping
        ``rows`` as of :func:`table`, and ``probes`` as of :func:`probes`.

    Returns
    -------
    list of str
        Arguments that nothing was tried with, or with which either side is outside its bound; known failures that do
        not appear.
    """
    rows = found["rows"]
    lines = [f"nothing was tried with {k}" for k, row in rows.items() if not row["originals"] or not row["backends"]]
    lines += [
        f"{name}: {side} is outside the bound"
        for name, row in rows.items()
        for side in ("ours", "original")
        if row[side] is None or row[side] > 1.0
    ]
    lines += [
        f"{each['original']}: the known failure {each['name']} does not appear"
        for each in found["probes"]
        if not each["seen"]
    ]
    return lines
