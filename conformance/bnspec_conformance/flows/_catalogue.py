"""Maps of numbers, what is made of others, batch normalization and coupling: what each is and where it is tried."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.conventions import KERAS, KERAS_2, TORCH

from ._autoregressive import AUTOREGRESSIVE, autoregressive
from ._entry import Draw, Entry
from ._parts import (
    Blocks,
    Chained,
    Conditioner,
    Coupled,
    Elementwise,
    Inlined,
    Inverted,
    Normalized,
    Permuted,
    Reshaped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Maker = Callable[[Draw], dict[str, Any]]

__all__ = ["MAPS", "PREIMAGES", "conditioner", "flow", "made", "normalization"]


def each(name: str, x: Any, **more: Any) -> Maker:
    """Return an entry of a map of each element; parameters and points are functions of what draws."""
    own = ("outputs", "smooth", "event_ndims")

    def make(draw: Draw) -> dict[str, Any]:
        parameters = {key: value(draw) for key, value in more.items() if key not in own}
        found = {"part": Elementwise(name, parameters), "x": x(draw)}
        if "outputs" in more:
            found["outputs"] = more["outputs"](draw)
        return {**found, **{key: more[key] for key in ("smooth", "event_ndims") if key in more}}

    return make


def reals(draw: Draw) -> Any:
    """Draw some 12 real numbers, as a batch of vectors."""
    return draw.normal((3, 4))


def positives(draw: Draw) -> Any:
    """Draw positive numbers on both sides of 1."""
    return draw.array(np.exp(draw.random.normal(0.3, 1.0, (3, 4))))


def tails(*numbers: float) -> Any:
    """Take numbers far out, with both signs."""
    return lambda draw: draw.array([numbers, [-number for number in numbers]])


def near(low: float, high: float, *gaps: float) -> Any:
    """Take numbers close to the ends of an interval."""
    return lambda draw: draw.array([[low + gap for gap in gaps], [high - gap for gap in gaps]])


def vector(*shape: int) -> Any:
    """Draw factors."""
    return lambda draw: draw.factors(shape)


def number(value: float) -> Any:
    """Take a number."""
    return lambda draw: draw.array(value)


def of(part: Any, x: Any = reals, **more: Any) -> Maker:
    """Return an entry of a part that is a function of what draws."""
    return lambda draw: {"part": part(draw), "x": x(draw), **more}


def normalization(draw: Draw, axis: tuple[int, ...], shape: tuple[int, ...], **more: Any) -> Normalized:
    """Draw a batch normalization for data of a shape, off every fixed point.

    Parameters
    ----------
    draw : Draw
        The numbers.
    axis : tuple of int
        The feature axes, from the end.
    shape : tuple of int
        Of the data.
    **more
        Other arguments; gamma and beta may be None.

    Returns
    -------
    Normalized
    """
    kept = tuple(size if place - len(shape) in axis else 1 for place, size in enumerate(shape))
    kept = (shape[axis[0]],) if len(axis) == 1 else kept
    settings = {
        "moving_mean": draw.normal(kept, 1.5),
        "moving_variance": draw.uniform(0.4, 2.9, kept),
        "gamma": draw.factors(kept),
        "beta": draw.normal(kept, -0.6),
    }
    return Normalized(axis, **{**settings, **more})


def batch(axis: tuple[int, ...], shape: tuple[int, ...], event_ndims: tuple[int, ...], **more: Any) -> Maker:
    """Return an entry of a batch normalization; an adjustment is a shape that broadcasts to the data."""

    def make(draw: Draw) -> dict[str, Any]:
        own = dict(more)
        if "adjustment" in own:
            spread = own["adjustment"]
            own["adjustment"] = draw.uniform(0.7, 0.95, spread), draw.normal(spread, 0.15, 0.4)
        part = normalization(draw, axis, shape, **own)
        return {"part": part, "x": draw.normal(shape, -0.3, 0.9), "event_ndims": event_ndims}

    return make


def conditioner(draw: Draw, *sizes: int, **more: Any) -> Conditioner:
    """Draw a network; the last layer is small, so that no scale is extreme.

    Parameters
    ----------
    draw : Draw
        The numbers.
    *sizes : int
        Units, those of input and output included.
    **more
        Other arguments.

    Returns
    -------
    Conditioner
    """
    layers = tuple(
        (draw.normal((before, after), 0.1, 0.6), draw.normal((after,), 0.2, 0.4)) for before, after in pairwise(sizes)
    )
    return Conditioner(layers, **more)


def coupling(size: int, masked: float, *hidden: int, through: bool = False, **more: Any) -> Any:
    """Return a coupling that draws its network."""

    def make(draw: Draw) -> Coupled:
        stays = abs(masked) if isinstance(masked, int) else abs(round(masked * size))
        outputs = (size - stays) * (2 if more.get("outputs", "both") == "both" else 1)
        part = conditioner(draw, stays, *hidden, outputs, **more)
        mask = {"num_masked": masked} if isinstance(masked, int) else {"fraction_masked": masked}
        return Coupled(size, part, through_bijector=through, **mask)

    return make


def vectors(size: int, *rows: int) -> Any:
    """Draw vectors."""
    return lambda draw: draw.normal((*(rows or (3,)), size))


def flow(training: bool) -> Any:
    """Return two couplings with batch normalization and a permutation between."""

    def make(draw: Draw) -> Chained:
        return Chained(
            (
                coupling(4, 2, 3)(draw),
                normalization(draw, (-1,), (5, 4), training=training),
                Permuted((2, 0, 3, 1)),
                coupling(4, -1, 3, network=True)(draw),
                Elementwise("ScaleMatvecDiag", {"scale_diag": draw.factors((4,))}),
            )
        )

    return make


def autoregressions(training: bool) -> Any:
    """Return two autoregressive flows with batch normalization between, the second in the other order."""

    def make(draw: Draw) -> Chained:
        return Chained(
            (
                autoregressive(4, 5)(draw),
                normalization(draw, (-1,), (5, 4), training=training),
                autoregressive(4, 5, order="right-to-left")(draw),
            )
        )

    return make


def images(draw: Draw) -> Chained:
    """Mask a checkerboard of 2 x 2 pixels of 2 channels, and normalize the channels of what comes out."""
    return Chained(
        (
            normalization(draw, (-1,), (3, 2, 2, 2)),
            Reshaped((2, 2, 2), (8,)),
            Permuted((0, 4, 1, 5, 6, 2, 7, 3)),
            coupling(8, 4, 3)(draw),
            Permuted((0, 2, 5, 7, 1, 3, 4, 6)),
            Reshaped((8,), (2, 2, 2)),
        )
    )


def scaled(name: str = "scale") -> Any:
    """Return a scale of each of four elements."""
    return lambda draw: Elementwise("Scale", {name: draw.factors((4,))})


def shifted(draw: Draw) -> Elementwise:
    """Return a shift of each of four elements."""
    return Elementwise("Shift", {"shift": draw.normal((4,), -0.8)})


SIMPLE = {name: Elementwise(name) for name in ("Exp", "Log", "Reciprocal", "Sigmoid", "Softplus", "Tanh", "Identity")}

ROWS: dict[str, Maker] = {
    "identity": each("Identity", reals),
    "shift": each("Shift", reals, shift=vector(4)),
    "shift of a larger batch": each("Shift", reals, shift=vector(2, 1, 4), event_ndims=(0, 1)),
    "scale": each("Scale", reals, scale=vector(4)),
    "scale by a number": each("Scale", reals, scale=number(-1.75)),
    "scale by a logarithm": each("Scale", reals, log_scale=vector(3, 1)),
    "exp": each("Exp", reals),
    "exp far out": each(
        "Exp", tails(20.0, 61.0, 80.0), outputs=lambda d: d.array([[1e-30, 3e-9, 0.75, 5e8, 2e30]]), smooth=False
    ),
    "log": each("Log", positives),
    "log far out": each(
        "Log", lambda d: d.array([[1e-30, 3e-9, 0.75, 5e8, 2e30]]), outputs=tails(20.0, 61.0, 80.0), smooth=False
    ),
    "reciprocal": each("Reciprocal", vector(3, 4)),
    "sigmoid": each("Sigmoid", reals),
    "sigmoid far out": each("Sigmoid", tails(12.0, 30.0, 75.0), outputs=near(0.0, 1.0, 1e-3, 3e-6), smooth=False),
    "sigmoid between": each("Sigmoid", reals, low=number(-1.5), high=number(3.25)),
    "softplus": each("Softplus", reals),
    "softplus far out": each(
        "Softplus", tails(12.0, 60.0, 300.0), outputs=lambda d: d.array([[1e-20, 1e-6, 0.1, 40.0, 300.0]]), smooth=False
    ),
    "softplus hinge": each("Softplus", reals, hinge_softness=number(0.7), low=number(-2.0)),
    "softplus below": each("Softplus", reals, hinge_softness=number(-0.7)),
    "tanh": each("Tanh", lambda d: d.normal((3, 4), 0.2, 0.7)),
    "tanh far out": each("Tanh", tails(7.0, 20.0, 50.0), outputs=near(-1.0, 1.0, 1e-3, 3e-6), smooth=False),
    "diagonal": each("ScaleMatvecDiag", reals, scale_diag=vector(4), event_ndims=(1, 2)),
    "batch of diagonals": each("ScaleMatvecDiag", reals, scale_diag=vector(3, 4), event_ndims=(1, 2)),
    "permute": of(lambda d: Permuted((2, 0, 3, 1)), event_ndims=(1, 2)),
    "permute rows": of(lambda d: Permuted((1, 2, 0), axis=-2), lambda d: d.normal((2, 3, 4)), event_ndims=(2, 3)),
    "reshape": of(lambda d: Reshaped((2, 3), (6,)), vectors(6), event_ndims=(1, 2)),
    "reshape to a vector": of(lambda d: Reshaped((6,), (3, 2)), lambda d: d.normal((2, 3, 2)), event_ndims=(2, 3)),
    "blocks": of(
        lambda d: Blocks((SIMPLE["Exp"], Elementwise("Scale", {"scale": d.factors((3,))}), SIMPLE["Tanh"]), (2, 3, 1)),
        lambda d: d.normal((3, 6), 0.2, 0.7),
        event_ndims=(1, 2),
    ),
    "blocks of vectors": of(
        lambda d: Blocks(
            (Permuted((1, 2, 0)), Elementwise("ScaleMatvecDiag", {"scale_diag": d.factors((2,))})), (3, 2)
        ),
        vectors(5),
        event_ndims=(1,),
    ),
    "inverse of exp": of(lambda d: Inverted(SIMPLE["Exp"]), positives),
    "inverse of a diagonal": of(
        lambda d: Inverted(Elementwise("ScaleMatvecDiag", {"scale_diag": d.factors((4,))})), event_ndims=(1, 2)
    ),
    "inverse of a chain": of(
        lambda d: Inverted(Chained((shifted(d), SIMPLE["Exp"], scaled()(d)))), lambda d: d.uniform(2.5, 9.0, (3, 4))
    ),
    "inverse of a reshape": of(
        lambda d: Inverted(Reshaped((2, 3), (6,))), lambda d: d.normal((2, 2, 3)), event_ndims=(2, 3)
    ),
    "inline": of(lambda d: Inlined(SIMPLE["Exp"])),
    "inline scale": of(lambda d: Inlined(scaled()(d))),
    "chain of nothing": of(lambda d: Chained(())),
    "shift of a scale": of(lambda d: Chained((shifted(d), scaled()(d)))),
    "scale of a shift": of(lambda d: Chained((scaled()(d), shifted(d)))),
    "exp of a scale": of(lambda d: Chained((SIMPLE["Exp"], scaled("log_scale")(d)))),
    "chain in a chain": of(lambda d: Chained((SIMPLE["Sigmoid"], Chained((shifted(d), scaled()(d)))))),
    "chain that reshapes": of(
        lambda d: Chained(
            (
                Reshaped((2, 2), (4,)),
                Elementwise("ScaleMatvecDiag", {"scale_diag": d.factors((4,))}),
                Permuted((3, 1, 0, 2)),
                Reshaped((4,), (2, 2)),
            )
        ),
        lambda d: d.normal((3, 2, 2)),
        event_ndims=(2, 3),
    ),
    "batch norm": batch((-1,), (5, 3), (1, 2)),
    "batch norm in training": batch((-1,), (5, 3), (1, 2), training=True),
    "batch norm of images": batch((-1,), (2, 3, 4, 2), (1, 2, 3)),
    "batch norm of images in training": batch((-1,), (2, 3, 4, 2), (1, 2, 3), training=True),
    "batch norm, channels first": batch((-3,), (2, 3, 4, 2), (1, 2, 3)),
    "batch norm, channels first, in training": batch((-3,), (2, 3, 4, 2), (1, 2, 3), training=True),
    "batch norm, inner axis": batch((-2,), (2, 4, 3), (1, 2), training=True),
    "batch norm, several axes": batch((-3, -1), (4, 2, 3, 2), (2, 3), training=True),
    "batch norm, several axes, in evaluation": batch((-3, -1), (4, 2, 3, 2), (2, 3)),
    "batch norm without gamma": batch((-1,), (5, 3), (1, 2), gamma=None, training=True),
    "batch norm without beta": batch((-1,), (5, 3), (1,), beta=None),
    "batch norm of torch": batch((-1,), (5, 3), (1,), convention=TORCH, training=True),
    "frozen batch norm": batch((-1,), (5, 3), (1, 2), trainable=False, training=True),
    "frozen batch norm of Keras": batch((-1,), (5, 3), (1, 2), trainable=False, training=True, convention=KERAS),
    "frozen batch norm of Keras 2": batch((-1,), (5, 3), (1,), trainable=False, training=True, convention=KERAS_2),
    "adjusted batch norm": batch((-1,), (5, 3), (1, 2), training=True, adjustment=(5, 1)),
    "adjusted batch norm, each element": batch((-1,), (5, 3), (1,), training=True, adjustment=(5, 3)),
    "inverse of batch norm": of(
        lambda d: Inverted(normalization(d, (-1,), (5, 3))), lambda d: d.normal((5, 3), 1.2), event_ndims=(1, 2)
    ),
    "real nvp": of(coupling(5, 2, 3), vectors(5), event_ndims=(1, 2)),
    "real nvp, last units masked": of(coupling(5, -2, 3), vectors(5), event_ndims=(1, 2)),
    "real nvp, nothing masked": of(coupling(3, 0), vectors(3), event_ndims=(1,)),
    "real nvp, a fraction": of(coupling(50, 0.58, 2), vectors(50, 2), event_ndims=(1,)),
    "real nvp, a negative fraction": of(coupling(6, -0.5, 3), vectors(6), event_ndims=(1,)),
    "nice": of(coupling(5, 2, 3, outputs="shift"), vectors(5), event_ndims=(1, 2)),
    "real nvp without shift": of(coupling(5, 3, outputs="log_scale"), vectors(5), event_ndims=(1,)),
    "real nvp through a bijector": of(coupling(5, 2, 3, through=True), vectors(5), event_ndims=(1, 2)),
    "real nvp by a network": of(coupling(5, 2, 4, 3, network=True), vectors(5), event_ndims=(1, 2)),
    "real nvp by a network, relu": of(
        coupling(5, -3, 4, network=True, activation="relu"), vectors(5), event_ndims=(1,)
    ),
    "nice by a network": of(coupling(5, 2, 4, network=True, outputs="shift"), vectors(5), event_ndims=(1,)),
    "conditions in a chain": lambda d: {
        "part": Chained(
            (
                coupling(4, 2, 3, conditioned=True)(d),
                Permuted((3, 2, 1, 0)),
                coupling(4, 2, 3, conditioned=True, outputs="shift")(d),
            )
        ),
        "x": d.normal((3, 4)),
        "context": d.normal((3, 2), -0.9),
        "event_ndims": (1,),
    },
    "flow": of(flow(training=False), vectors(4, 5), event_ndims=(1, 2)),
    "flow in training": of(flow(training=True), vectors(4, 5), event_ndims=(1,)),
    "flow of images": of(images, lambda d: d.normal((3, 2, 2, 2)), event_ndims=(3,)),
    **AUTOREGRESSIVE,
    "autoregressive flows with batch norm": of(autoregressions(training=False), vectors(4, 5), event_ndims=(1, 2)),
    "autoregressive flows in training": of(autoregressions(training=True), vectors(4, 5), event_ndims=(1,)),
}
"""From id to what makes the fields of an entry."""

ALSO = {
    "float64": (
        "scale", "exp", "sigmoid between", "softplus hinge", "tanh", "diagonal", "blocks", "inverse of a chain",
        "batch norm", "batch norm in training", "batch norm, several axes", "adjusted batch norm", "real nvp",
        "real nvp by a network", "flow", "flow in training",
        "masked autoregressive flow", "inverse autoregressive flow", "autoregressive flows in training",
    ),
    "float16": ("scale", "softplus hinge", "scale of a shift", "masked autoregressive flow"),
    "bfloat16": ("sigmoid", "shift of a scale"),
}  # fmt: skip
"""In which other dtypes."""


def made(rows: Mapping[str, Maker], also: Mapping[str, tuple[str, ...]]) -> dict[str, Entry]:
    """Make entries.

    Parameters
    ----------
    rows : mapping
        From id to what makes the fields of an entry, for float32.
    also : mapping
        From another dtype to the ids of what is tried in it too.

    Returns
    -------
    dict
        From id, with the dtype if it is another than float32, to entry.
    """
    found = {}
    for dtype, names in (("float32", tuple(rows)), *also.items()):
        for name in names:
            key = name if dtype == "float32" else f"{name}, {dtype}"
            found[key] = Entry(key, dtype=dtype, **rows[name](Draw(name, dtype)))
    return found


MAPS: dict[str, Entry] = made(ROWS, ALSO)
"""From id to entry."""

PREIMAGES: dict[str, Entry] = {
    "absolute value": Entry(
        "absolute value",
        Elementwise("AbsoluteValue"),
        "float32",
        Draw("absolute value", "float32").factors((3, 4)),
        np.abs(Draw("absolute value, back", "float32").factors((3, 4))),
    )
}
"""Maps that several points have one image of."""
