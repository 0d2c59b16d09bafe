"""Masked and inverse autoregressive flows: the network and the default template, with equal weights on both sides."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance import oracle
from bnspec_conformance.bounds import DEFINITION
from differential.bijectors.autoregressive import masks_of
from differential.bijectors.draw import Family, Question
from differential.bijectors.part import Part
from differential.bijectors.reference import Reference
from differential.bijectors.rules_table import RULES

from .asking import calls, facts, log_dets, rounded, sizes

if TYPE_CHECKING:
    from differential.bijectors.draw import Asked

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["AUTOREGRESSIVE"]


def _layers(options: Options, size: int, random: np.random.Generator) -> list[tuple[Array, Array, Array | None]]:
    """Draw kernels, biases, and kernels of the condition."""
    dtype = options["dtype"]
    least = size if options["form"] == "template" else 1
    hidden = (int(random.integers(least, least + 5)) for _ in range(options["hidden"]))
    widths = [size, *hidden, size * (2 if options["returns"] == "both" else 1)]
    found = []
    for number, pair in enumerate(pairwise(widths)):
        kernel, bias = (np.asarray(random.normal(0.0, 0.5, of), dtype) for of in (pair, pair[1]))
        told = options["condition"] == "all_layers" or (options["condition"] == "first_layer" and number == 0)
        found.append((kernel, bias, np.asarray(random.normal(0.0, 0.5, (2, pair[1])), dtype) if told else None))
    return found


def _order(options: Options, size: int, random: np.random.Generator) -> tuple[int, ...]:
    name = options["order"]
    return oracle.places((random.permutation(size) + 1).tolist() if name == "listed" else name, size)


def _mend(options: Options) -> None:
    if options["form"] == "template":
        options |= {"order": "left-to-right", "condition": "none"}
        options["returns"] = "both" if options["returns"] == "log_scale" else options["returns"]
    if options["form"] == "function":
        options |= {"condition": "none", "masked": True, "refused": "nothing"}
    options["deep"] = options["hidden"] > 0 or options["condition"] != "none"


def _drawn(options: Options, random: np.random.Generator) -> tuple[Any, Any, Any]:
    dtype, size = options["dtype"], options["size"]
    conditioner = {
        "layers": _layers(options, size, random),
        "order": _order(options, size, random),
        "named": options["order"],
        **{key: options[key] for key in ("form", "activation", "returns", "condition")},
    }
    if options["masked"]:
        masks = masks_of(conditioner, size)
        conditioner["layers"] = [
            (np.where(mask, kernel, np.zeros_like(kernel)), *rest)
            for (kernel, *rest), mask in zip(conditioner["layers"], masks, strict=True)
        ]
    batch = sizes(random, 1, 4, options["batch"])
    context = None if options["condition"] == "none" else np.asarray(random.normal(0.0, 1.0, (*batch, 2)), dtype)
    part = Part("MaskedAutoregressiveFlow", {"size": size, "conditioner": conditioner, "context": context})
    part = Part("Invert", parts=(part,)) if options["inverted"] else part
    x, near = (np.asarray(random.normal(0.2, 1.0, (*batch, size)), dtype=dtype) for _ in range(2))
    reference = Reference(dtype, DEFINITION, RULES, {})
    y = rounded(reference.mapped(part, "forward", reference.given(near)).exact, dtype)
    condition = {} if context is None else {"conditional_input": context}
    ranks = sorted({1, 1 + len(batch)})
    questions = [calls(part, "forward", x, condition), calls(part, "inverse", y, condition), *facts(part, (size,))]
    questions += log_dets(part, "forward", x, ranks, condition) + log_dets(part, "inverse", y, ranks, condition)
    if options["refused"] != "nothing":
        questions.append(_refused(options["refused"], size))
    return lambda side: side.make(part), questions, None


def _refused(what: str, size: int) -> Question:
    """Ask for what is to be refused: events without an axis, or an unknown way to connect hidden units."""

    def made(asked: Asked) -> None:
        kinds = asked.side.bijectors
        if what == "event_ndims":
            kinds.MaskedAutoregressiveFlow(lambda y: (y, None), event_ndims=0)
        else:
            network = kinds.AutoregressiveNetwork(2, size, hidden_units=[3], hidden_degrees="all")
            network(asked.side.array(np.zeros((1, size), np.float32)))

    def ask(asked: Asked) -> str:
        try:
            made(asked)
        except Exception as error:  # noqa: BLE001 - whatever a library raises is a result
            return "refused" if isinstance(error, (TypeError, ValueError)) else type(error).__name__
        return "accepted"

    return Question(f"refusal of {what}", ask, lambda _: "refused")


AUTOREGRESSIVE = Family(
    {
        "form": ("network", "network", "bijector", "template", "template", "function"),
        "dtype": ("float32", "float32", "float32", "float64"),
        "order": ("left-to-right", "left-to-right", "right-to-left", "listed"),
        "returns": ("both", "both", "both", "shift", "log_scale"),
        "activation": ("relu", "tanh"),
        "hidden": (0, 1, 1, 2),
        "condition": ("none", "none", "all_layers", "first_layer"),
        "size": (1, 2, 3, 4),
        "batch": (0, 1, 1, 2),
        "inverted": (False, False, True),
        "masked": (True,) * 19 + (False,),
        "refused": ("nothing",) * 18 + ("event_ndims", "hidden_degrees"),
    },
    _mend,
    _drawn,
)
"""Affine autoregressive flows by masked networks: densities in one pass and samples unit by unit, or inverted."""
