"""One training run on every framework: the digits, a small dense network with batch norm, plain gradient descent.

``python -m bnspec_conformance.digits`` prints how far the frameworks are from float64 on NumPy, beside the bound, and
with ``--docs FOLDER`` writes the result, the picture and the page's section.
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import bnspec

from . import bounds
from .report import document

if TYPE_CHECKING:
    from collections.abc import Sequence

    Array = np.ndarray[Any, Any]

__all__ = ["FRAMEWORKS", "STEPS", "Run", "bound", "main", "reference", "trained"]

STEPS, BATCH, RATE, HIDDEN, CLASSES = 50, 128, 0.5, 32, 10
FRAMEWORKS = {"float32": ("torch", "jax", "tensorflow"), "float64": ("torch", "jax:x64", "tensorflow")}
SPEC = bnspec.BatchNorm(momentum=0.9, epsilon=1e-3)
_PERTURBED, _TIMES = 2.0**-26, 8


class Run(NamedTuple):
    """A training run.

    Attributes
    ----------
    losses : tuple of float
        Before each step.
    values : dict of str to array
        Parameters and running statistics after the last step.
    """

    losses: tuple[float, ...]
    values: dict[str, Array]


@cache
def _data() -> tuple[Array, Array]:
    from sklearn.datasets import load_digits  # noqa: PLC0415 - slow, and needed here only

    digits = load_digits()
    return digits.data / 16.0, np.eye(CLASSES)[digits.target]


def _batch(step: int) -> tuple[Array, Array]:
    images, labels = _data()
    index = np.arange(step * BATCH, (step + 1) * BATCH) % len(images)
    return images[index], labels[index]


def _initial() -> dict[str, Array]:
    """Draw the initial values; float32 holds them, so that all runs begin at the same point."""
    random = np.random.default_rng(2015)
    return {
        "first": random.normal(0.0, 64**-0.5, (64, HIDDEN)).astype(np.float32).astype(np.float64),
        "gamma": np.ones(HIDDEN),
        "beta": np.zeros(HIDDEN),
        "second": random.normal(0.0, HIDDEN**-0.5, (HIDDEN, CLASSES)).astype(np.float32).astype(np.float64),
        "bias": np.zeros(CLASSES),
    }


def _loss(values: tuple[Any, ...], state: bnspec.State, x: Any, labels: Any, xp: Any) -> tuple[Any, bnspec.State]:
    """Return the mean cross-entropy, and the state after the batch."""
    first, gamma, beta, second, bias = values
    hidden, state = SPEC.apply(bnspec.Params(gamma, beta), state, x @ first, training=True)
    logits = xp.maximum(hidden, xp.zeros_like(hidden)) @ second + bias
    shifted = logits - xp.max(logits, axis=1, keepdims=True)
    chosen = xp.sum(shifted * labels, axis=1) - xp.log(xp.sum(xp.exp(shifted), axis=1))
    return -xp.mean(chosen), state


def trained(name: str, dtype: str) -> Run:
    """Train on a framework, with its own differentiation.

    Parameters
    ----------
    name : str
        A backend.
    dtype : {"float32", "float64"}
        Of data, parameters and state.

    Returns
    -------
    Run
    """
    backend = bnspec.backend(name)
    with backend.context():
        xp = backend.namespace()

        def sent(array: Array) -> Any:
            return backend.asarray(array.astype(dtype))

        names = tuple(_initial())
        values = tuple(sent(value) for value in _initial().values())
        _, state = SPEC.init((BATCH, HIDDEN), like=sent(np.zeros((1, HIDDEN))))
        losses = []
        for step in range(STEPS):
            x, labels = map(sent, _batch(step))

            def scalar(values: tuple[Any, ...], state: Any = state, x: Any = x, labels: Any = labels) -> Any:
                return _loss(values, state, x, labels, xp)[0]

            loss, gradients = backend.value_and_grad(scalar)(values)
            _, state = _loss(values, state, x, labels, xp)
            values = tuple(value - RATE * slope for value, slope in zip(values, gradients, strict=True))
            losses.append(float(backend.to_numpy(loss)))
        state_values = {"moving_mean": state.moving_mean, "moving_variance": state.moving_variance}
        found = {**dict(zip(names, values, strict=True)), **state_values}
        return Run(tuple(losses), {key: np.asarray(backend.to_numpy(value)) for key, value in found.items()})


@cache
def reference(perturbed: int = 0) -> Run:
    """Train in float64 on NumPy, by derivatives written out, from one or another neighbour of the initial values.

    Parameters
    ----------
    perturbed : int
        0 for the initial values themselves; else the number of a neighbour, and of a perturbation of each gradient.

    Returns
    -------
    Run
    """
    values = _initial()
    random = np.random.default_rng(perturbed)

    def near(value: Array) -> Array:
        return value * (1.0 + _PERTURBED * random.choice([-1.0, 1.0], value.shape)) if perturbed else value

    values = {name: near(value) for name, value in values.items()}
    _, state = SPEC.init((BATCH, HIDDEN), like=np.zeros((1, HIDDEN)))
    losses = []
    for step in range(STEPS):
        x, labels = _batch(step)
        params = bnspec.Params(values["gamma"], values["beta"])
        hidden, state, pullback = SPEC.vjp(params, state, x @ values["first"], training=True)
        active = np.maximum(hidden, 0.0)
        logits = active @ values["second"] + values["bias"]
        shifted = logits - logits.max(axis=1, keepdims=True)
        norm = np.exp(shifted).sum(axis=1, keepdims=True)
        losses.append(float(-(shifted * labels - labels * np.log(norm)).sum(axis=1).mean()))
        slope = (np.exp(shifted) / norm - labels) / len(x)
        through = pullback(np.where(hidden > 0.0, slope @ values["second"].T, 0.0))
        gradients = {
            "first": x.T @ through.x,
            "gamma": through.gamma,
            "beta": through.beta,
            "second": active.T @ slope,
            "bias": slope.sum(axis=0),
        }
        values = {name: near(value) - RATE * near(gradients[name]) for name, value in values.items()}
    kept = {"moving_mean": state.moving_mean, "moving_variance": state.moving_variance}
    return Run(tuple(losses), {**values, **kept})


@cache
def bound(dtype: str) -> dict[str, float]:
    """Bound the distance from the reference, for each array.

    Parameters
    ----------
    dtype : str
        What a framework computes in.

    Returns
    -------
    dict of str to float
    """
    plain = reference()
    found = {}
    for name, value in plain.values.items():
        distances = [np.abs(reference(number).values[name] - value).max() for number in range(1, _TIMES + 1)]
        found[name] = bounds.training_run(float(max(distances)) / _PERTURBED, bounds.FORMATS[dtype])
    return found


def measured(name: str, dtype: str) -> dict[str, Any]:
    """Train on a framework, and compare: losses, and for each array the distance and the bound."""
    run = trained(name, dtype)
    distances = {key: float(np.abs(run.values[key] - value).max()) for key, value in reference().values.items()}
    return {"losses": run.losses, "distances": distances, "bounds": bound(dtype)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the comparison; with ``--docs``, write it too.

    Returns
    -------
    int
        1 where a framework is outside the bound, else 0.
    """
    parser = argparse.ArgumentParser(prog="python -m bnspec_conformance.digits", description=__doc__)
    parser.add_argument("--docs", type=Path, help="the folder of the documentation")
    options = parser.parse_args(arguments)
    runs = {dtype: {name: measured(name, dtype) for name in names} for dtype, names in FRAMEWORKS.items()}
    names = {name for several in FRAMEWORKS.values() for name in several}
    versions = {name: bnspec.backend(name).version for name in sorted(names)}
    result = {"versions": versions, "reference": reference().losses, "runs": runs}
    print(text(result))  # noqa: T201 - it is a program
    if options.docs:
        document.keep(options.docs / "results" / "digits.json", result)
        _draw(result, options.docs / "digits.png")
        document.rewrite(options.docs / "training.md", "digits", made(result))
    fractions = (fraction for each in runs.values() for run in each.values() for fraction in _fractions(run))
    return 0 if all(fraction <= 1.0 for fraction in fractions) else 1


def _fractions(run: dict[str, Any]) -> list[float]:
    return [distance / run["bounds"][name] for name, distance in run["distances"].items()]


def text(result: dict[str, Any]) -> str:
    """Render the comparison as a table of Markdown."""
    rows = []
    for dtype, runs in result["runs"].items():
        for name, run in runs.items():
            worst = max(run["distances"], key=lambda key, run=run: run["distances"][key] / run["bounds"][key])  # type: ignore[misc]
            rows.append(
                (
                    f"{name} {result['versions'][name]}",
                    dtype,
                    f"{run['losses'][-1]:.6f}",
                    f"{max(run['distances'].values()):.1e}",
                    worst,
                    f"{max(_fractions(run)):.3f}",
                )
            )
    head = ("framework", "dtype", "last loss", "largest distance", "nearest to its bound", "as a fraction of it")
    return document.table(head, rows, names=2)


def made(result: dict[str, Any]) -> str:
    """Return the section of the page."""
    return document.section("digits", "nox -s digits", [text(result)])


def _draw(result: dict[str, Any], path: Path) -> None:
    """Draw the loss curves, and below how far each is from the reference."""
    import matplotlib as mpl  # noqa: PLC0415 - for the documentation alone

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (above, below) = plt.subplots(2, 1, figsize=(7.0, 6.0), sharex=True, height_ratios=(3, 2))
    styles = {"torch": ("-", 5.0, "#f4a582"), "jax": ("-", 2.5, "#4393c3"), "tensorflow": (":", 2.0, "black")}
    steps = np.arange(1, STEPS + 1)
    for name, run in result["runs"]["float32"].items():
        line, width, colour = styles[name]
        above.plot(steps, run["losses"], line, linewidth=width, color=colour, label=f"{name}, float32")
        distance = np.abs(np.asarray(run["losses"]) - np.asarray(result["reference"]))
        below.semilogy(steps, np.maximum(distance, 1e-9), line, linewidth=max(width / 2, 1.5), color=colour)
    above.set_ylabel("cross-entropy")
    above.legend(frameon=False)
    below.set_ylabel("distance from float64")
    below.set_xlabel("step")
    for axis in (above, below):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
