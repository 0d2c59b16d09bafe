"""The page of the trained flows: tables and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec_conformance.report import document

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["draw", "made", "text"]

_STYLES = {"torch": ("-", 4.0, "#f4a582"), "jax:x64": ("-", 2.0, "#4393c3"), "tensorflow": (":", 1.6, "black")}


def text(result: dict[str, Any]) -> list[str]:
    """Render the tables as Markdown.

    Parameters
    ----------
    result : dict
        What the program has kept.

    Returns
    -------
    list of str
        The densities of each data set, and the distances.
    """
    return [*(_densities(name, each) for name, each in result["data"].items()), _distances(result)]


def _densities(name: str, found: dict[str, Any]) -> str:
    size, rows = found["event_size"], [("full-covariance Gaussian", "NumPy", "", *_figures(found["gaussian"], found))]
    for model, runs in found["runs"].items():
        for framework, run in runs.items():
            rows.append((model, framework, run["step"], *_figures(run["held_out"], found)))
    title = f"{name}: {found['events'][2]} held-out events of {size} dimensions"
    unit = "bits per dimension" if found["levels"] else "bits per dimension, of standardized data"
    head = (title, "framework", "best step", "log-likelihood, nats", unit)
    return document.table(head, rows, names=2)


def _figures(held_out: list[float], found: dict[str, Any]) -> tuple[str, str]:
    mean, error = held_out[0], held_out[1]
    nats = found["event_size"] * np.log(2.0)
    return f"{mean:.2f} ± {error:.2f}", f"{-mean / nats:.3f} ± {error / nats:.3f}"


def _distances(result: dict[str, Any]) -> str:
    rows = []
    for model, runs in result["data"]["digits"]["runs"].items():
        known = result["reference"][model]
        losses, bound = np.asarray(known["losses"]), np.asarray(known["bound"])
        for framework, run in runs.items():
            distance = np.abs(np.asarray(run["losses"][: len(losses)]) - losses)
            rows.append(
                (
                    model,
                    f"{framework} {result['versions'][framework]}",
                    f"{distance.max():.1e}",
                    f"{bound.max():.1e}",
                    f"{(distance / bound).max():.3f}",
                )
            )
    count = len(next(iter(result["reference"].values()))["losses"])
    head = (
        f"digits, first {count} steps",
        "framework",
        "largest distance",
        "largest bound",
        "largest share of a bound",
    )
    return document.table(head, rows, names=2)


def largest_share(result: dict[str, Any]) -> float:
    """Return how much of the bound is used where most is used."""
    shares = []
    for model, runs in result["data"]["digits"]["runs"].items():
        known = result["reference"][model]
        losses, bound = np.asarray(known["losses"]), np.asarray(known["bound"])
        distances = (np.abs(np.asarray(run["losses"][: len(losses)]) - losses) for run in runs.values())
        shares += [float((distance / bound).max()) for distance in distances]
    return max(shares)


def made(result: dict[str, Any]) -> str:
    """Return the section of the page."""
    densities, wine, distances = text(result)
    pictures = (
        "![Loss curves of three frameworks that lie on one another, lower with batch norm](flows-losses.png)",
        "![Digits of the data set, and samples of each flow](flows-samples.png)",
    )
    return document.section("flows", "nox -s example_flow", [densities, *pictures, distances, wine])


def draw(result: dict[str, Any], samples: dict[str, Any], folder: Path) -> None:
    """Draw the losses and the samples.

    Parameters
    ----------
    result : dict
        What the program has kept.
    samples : dict of str to numpy.ndarray, shape (N, 64)
        Images by what is written above them.
    folder : pathlib.Path
        Where the pictures come.
    """
    import matplotlib as mpl  # noqa: PLC0415 - for the documentation alone

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    _draw_losses(result, plt, folder / "flows-losses.png")
    _draw_samples(samples, plt, folder / "flows-samples.png")


def _draw_losses(result: dict[str, Any], plt: Any, path: Path) -> None:
    runs = result["data"]["digits"]["runs"]
    nats = result["data"]["digits"]["event_size"] * np.log(2.0)
    figure, axes = plt.subplots(2, 2, figsize=(9.0, 6.6), height_ratios=(3, 2), sharey="row")
    families: dict[str, list[str]] = {}
    for model in runs:
        families.setdefault(model.partition(",")[0], []).append(model)
    for (family, models), (above, below) in zip(families.items(), axes.T, strict=True):
        for model in models:
            for framework, run in runs[model].items():
                line, width, colour = _STYLES[framework]
                bits = np.asarray(run["losses"]) / nats
                label = framework if model == models[0] else None
                above.plot(np.arange(1, len(bits) + 1), bits, line, linewidth=width, color=colour, label=label)
            end = float(np.mean(bits[-20:]))
            above.annotate(
                model.partition(", ")[2], (len(bits), end), (-4, 26), textcoords="offset points", ha="right", fontsize=8
            )
            known = result["reference"][model]
            steps = np.arange(1, len(known["losses"]) + 1)
            colour = "#b2182b" if "without" in model else "#2166ac"
            below.semilogy(
                steps, known["bound"], "--", color=colour, linewidth=1.0, label=f"bound, {model.partition(', ')[2]}"
            )
            for framework, run in runs[model].items():
                distance = np.abs(np.asarray(run["losses"][: len(steps)]) - np.asarray(known["losses"]))
                line, width, _ = _STYLES[framework]
                below.semilogy(
                    steps, np.maximum(distance, 1e-15), line, linewidth=max(width / 2, 1.0), color=colour, alpha=0.5
                )
        above.set_title(family)
        above.set_ylim(2.0, 4.5)
        above.set_xlabel("step")
        below.set_xlabel("step")
    axes[0, 0].set_ylabel("training loss, bits per dimension")
    axes[1, 0].set_ylabel("distance of the loss, nats")
    axes[0, 0].legend(frameon=False)
    axes[1, 0].legend(frameon=False, fontsize=8)
    _finish(figure, axes.ravel(), plt, path)


def _draw_samples(samples: dict[str, Any], plt: Any, path: Path) -> None:
    side, rows, columns = 8, 8, 6
    figure, axes = plt.subplots(1, len(samples), figsize=(2.2 * len(samples), 3.2))
    for axis, (title, images) in zip(axes, samples.items(), strict=True):
        tiles = np.clip(np.floor(images[: rows * columns]), 0.0, 16.0).reshape(rows, columns, side, side)
        framed = np.pad(tiles, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=3.0)
        sheet = framed.transpose(0, 2, 1, 3).reshape(rows * (side + 1), columns * (side + 1))
        axis.imshow(sheet[:-1, :-1], cmap="gray_r", vmin=0.0, vmax=16.0)
        axis.set_title(title.replace(", ", "\n"), fontsize=9)
        axis.set_axis_off()
    figure.tight_layout()
    figure.savefig(path, dpi=110, bbox_inches="tight")
    plt.close(figure)


def _finish(figure: Any, axes: Any, plt: Any, path: Path) -> None:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
