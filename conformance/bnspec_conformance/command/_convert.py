"""``bnspec convert``."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import typer

import bnspec

from ._common import BROKEN, console, convention_of, fail

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bnspec.conventions import Convention

__all__ = ["convert"]


class Keep(StrEnum):
    """What stays as it is."""

    OUTPUT = "output"
    STATISTICS = "statistics"


class Names(NamedTuple):
    """What a library calls the arrays of a layer, behind the layer's own name and a dot or a slash."""

    gamma: str = "gamma"
    beta: str = "beta"
    moving_mean: str = "moving_mean"
    moving_variance: str = "moving_variance"
    num_batches: str = "num_batches"


_NAMES = {
    "TORCH": Names("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    "TORCH_CUMULATIVE": Names("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    "NFLOWS": Names("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    "MLX": Names("weight", "bias", "running_mean", "running_var"),
    "TINYGRAD": Names("weight", "bias", "running_mean", "running_var", "num_batches_tracked"),
    "FLAX": Names("scale", "bias", "mean", "var"),
    "FLAX_NNX": Names("scale", "bias", "mean", "var"),
}


def convert(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A safetensors file.")],
    out: Annotated[Path, typer.Argument(dir_okay=False, help="The file to write.")],
    source: Annotated[str, typer.Option(metavar="NAME", help="The convention of what is there.")],
    target: Annotated[str, typer.Option(metavar="NAME", help="The convention that is wanted.")],
    keep: Annotated[
        Keep, typer.Option(help="output: evaluation gives the same; statistics: as if the target had been trained.")
    ] = Keep.OUTPUT,
    count: Annotated[float | None, typer.Option(help="Elements per channel in each training batch.")] = None,
    num_batches: Annotated[
        int | None, typer.Option(min=0, help="How many training batches, where the file does not say.")
    ] = None,
    source_epsilon: Annotated[float | None, typer.Option(help="Where it is not the source's default.")] = None,
    target_epsilon: Annotated[float | None, typer.Option(help="Where it is not that of the source.")] = None,
) -> None:
    """Convert the batch norms in a file from one library's convention, and names, to another's."""
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - the other subcommands need none
    from safetensors.numpy import save  # noqa: PLC0415

    if not out.parent.is_dir():
        raise typer.BadParameter(f"The folder of {out} must be there.", param_hint="OUT")
    old, new = convention_of(source), convention_of(target)
    assert old is not None and new is not None  # noqa: S101, PT018 - both options are required
    before = _NAMES.get(old.name, Names())
    after = _NAMES.get(new.name, Names())
    try:
        with safe_open(file, framework="numpy") as opened:
            arrays = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118 - it has no iterator
            metadata = opened.metadata()
    except (SafetensorError, TypeError) as error:  # a dtype that NumPy has not
        text = f"{file} must be a safetensors file of dtypes that NumPy has: {error}"
        raise typer.BadParameter(text, param_hint="FILE") from error
    layers = [key.removesuffix(before.moving_mean) for key in arrays if _is(key, before.moving_mean)]
    layers = [layer for layer in layers if layer + before.moving_variance in arrays]
    if not layers:
        wanted = f"{before.moving_mean} and {before.moving_variance}"
        fail(f"{file} must have batch norms of {old.name}, arrays called {wanted}. Got {', '.join(arrays)}.", BROKEN)
    epsilon = old.epsilon if source_epsilon is None else source_epsilon
    converted = dict(arrays)
    for layer in layers:
        try:
            made = _one(arrays, layer, before, (old, epsilon), new, keep.value, count, num_batches, target_epsilon)
        except (TypeError, ValueError) as error:
            fail(f"{layer or file}: {error}", BROKEN)
        for name in before:
            converted.pop(layer + name, None)
        converted |= {layer + getattr(after, name): value for name, value in made.items()}
    draft = out.with_name(f"{out.name}.partial")
    draft.write_bytes(save(converted, metadata=metadata))
    draft.replace(out)
    console.print(f"{out}: {len(layers)} batch norms, from {old.name} to {new.name}")


def _is(key: str, name: str) -> bool:
    return key == name or key.endswith((f".{name}", f"/{name}"))


def _one(
    arrays: "Mapping[str, Any]",
    layer: str,
    names: Names,
    source: "tuple[Convention, float]",
    target: "Convention",
    keep: Any,
    count: float | None,
    num_batches: int | None,
    epsilon: float | None,
) -> dict[str, Any]:
    """Convert one layer, and return its arrays by bnspec's names."""
    found = {name: arrays.get(layer + key) for name, key in names._asdict().items()}
    batches = found["num_batches"] if num_batches is None else np.asarray(num_batches)
    state = bnspec.State(found["moving_mean"], found["moving_variance"], batches)
    center, scale = found["beta"] is not None, found["gamma"] is not None
    given = bnspec.BatchNorm(convention=source[0], epsilon=source[1], center=center, scale=scale)
    wanted: bnspec.BatchNorm | Convention = target
    if epsilon is not None:
        wanted = bnspec.BatchNorm(convention=target, epsilon=epsilon, center=center, scale=scale)
    params = bnspec.Params(found["gamma"], found["beta"])
    _, kept, after = bnspec.convert(state, given, wanted, keep=keep, params=params, count=count)
    made = {**(kept or params)._asdict(), **after._asdict()}
    return {name: np.asarray(made[name]) for name in Names._fields if made.get(name) is not None}
