"""Layers in files: safetensors, never pickle."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bnspec.arrays import common_namespace, dtype_name
from bnspec.errors import message
from bnspec.registry import backend_of
from bnspec.variables import from_numpy

if TYPE_CHECKING:
    from os import PathLike

    from bnspec.variables import Variable

__all__ = ["Stored", "read", "require_convention", "restored", "write"]

FORMAT = "bnspec.layers 1"


class Stored(NamedTuple):
    """An array in NumPy, which has no bfloat16 of its own.

    Attributes
    ----------
    dtype : str
        The name of its dtype.
    values : numpy.ndarray
        The array; float32 if it is bfloat16.
    """

    dtype: str
    values: np.ndarray[Any, Any]

    @classmethod
    def of(cls, array: Any) -> Stored:
        """Copy an array to NumPy."""
        xp, name = common_namespace(array=array), dtype_name(array.dtype)
        wide = xp.astype(array, xp.float32) if name == "bfloat16" else array
        return cls(name, backend_of(wide).to_numpy(wide))

    def restored(self, like: Any) -> Any:
        """Copy it to the library, device and dtype of another array."""
        return common_namespace(like=like).astype(from_numpy(self.values, like), like.dtype)


def write(path: str | PathLike[str], arrays: dict[str, Stored], about: dict[str, Any], form: str = FORMAT) -> None:
    """Write arrays and what is to be known about them.

    Parameters
    ----------
    path : path
        The file; what was there is replaced when the new one is complete.
    arrays : dict of Stored
        By name. bfloat16 is written as the bits of uint16.
    about : dict
        What JSON can hold.
    form : str
        The name of the format, by default that of layers.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    from safetensors.numpy import save  # noqa: PLC0415 - `import bnspec` stays light

    halves = [name for name, stored in arrays.items() if stored.dtype == "bfloat16"]
    plain = {name: np.asarray(stored.values, order="C") for name, stored in arrays.items()}
    for name in halves:
        plain[name] = (plain[name].view(np.uint32) >> 16).astype(np.uint16)  # a bfloat16 is the upper half of a float32
    metadata = {"format": form, "about": json.dumps(about), "bfloat16": json.dumps(halves)}
    data = _ordered(save(plain, {**metadata, "sha256": _digest(plain, metadata)}))
    target = Path(path)
    part = target.with_name(f"{target.name}.part")
    part.write_bytes(data)
    part.replace(target)


def read(path: str | PathLike[str], form: str = FORMAT) -> tuple[dict[str, Stored], dict[str, Any]]:
    """Read what :func:`write` wrote.

    Parameters
    ----------
    path : path
        The file.
    form : str
        The name of the format, by default that of layers.

    Returns
    -------
    arrays : dict of Stored
        By name.
    about : dict

    Raises
    ------
    ValueError
        If the file is damaged, or something else.
    OSError
        If it cannot be read.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - `import bnspec` stays light
    from safetensors.numpy import load  # noqa: PLC0415

    data = Path(path).read_bytes()
    try:
        arrays = load(data)
    except SafetensorError as error:
        raise ValueError(message("the file must be a whole safetensors file", path=str(path), error=error)) from error
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    if metadata.get("format") != form:
        raise ValueError(
            message(f"the file must have the format {form!r}", path=str(path), format=metadata.get("format"))
        )
    if metadata.pop("sha256", None) != _digest(arrays, metadata):
        raise ValueError(message("the file must be as it was written: its checksum does not fit", path=str(path)))
    found = {name: Stored(array.dtype.name, array) for name, array in arrays.items()}
    for name in json.loads(metadata["bfloat16"]):
        found[name] = Stored("bfloat16", (arrays[name].astype(np.uint32) << 16).view(np.float32))
    return found, json.loads(metadata["about"])


def _ordered(data: bytes) -> bytes:
    """Sort the header, whose metadata safetensors writes in any order, so that equal contents are equal bytes."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _digest(arrays: dict[str, np.ndarray[Any, Any]], metadata: dict[str, str]) -> str:
    """Sum up everything that is in a file; the format itself would not notice another number."""
    digest = sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.name} {array.shape}".encode())
        digest.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def require_convention(path: str | PathLike[str], ours: Any, theirs: Any) -> None:
    """Refuse a file of a layer with another convention.

    Parameters
    ----------
    path : path
        The file, for the message.
    ours, theirs : str or dict
        The conventions of the layer and of the file, as configurations have them.

    Raises
    ------
    ValueError
        If they differ.
    """
    if ours != theirs:
        raise ValueError(message("the file must be of the layer's convention", path=str(path), layer=ours, file=theirs))


def restored(path: str | PathLike[str], arrays: dict[str, Stored], variables: dict[str, Variable]) -> dict[str, Any]:
    """Turn what was read into values of variables.

    Parameters
    ----------
    path : path
        The file, for the message.
    arrays : dict of Stored
        What was read.
    variables : dict of Variable
        What they are to be values of.

    Returns
    -------
    dict of array

    Raises
    ------
    ValueError
        If names, shapes or dtypes differ.
    """
    owned = {name: (variable.shape, dtype_name(variable.dtype)) for name, variable in variables.items()}
    found = {name: (stored.values.shape, stored.dtype) for name, stored in arrays.items()}
    if found != owned:
        differing = [name for name in {**owned, **found} if owned.get(name) != found.get(name)]
        raise ValueError(
            message(
                f"the file must have the layer's variables: {', '.join(owned)}",
                path=str(path),
                layer={name: owned.get(name) for name in differing},
                file={name: found.get(name) for name in differing},
            )
        )
    return {name: stored.restored(variables[name].value) for name, stored in arrays.items()}
