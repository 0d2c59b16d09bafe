"""Which Array API namespace an array belongs to, and whether several arrays may be used together."""

from __future__ import annotations

import sys
from typing import Any

import array_api_compat
import numpy as np

from bnspec import registry
from bnspec.errors import message

__all__ = ["common_namespace", "detached", "device_of"]

# Keyed by type. The look-up is a plain dictionary access so that a compiler can trace through it:
# array_api_compat.array_namespace is behind functools.lru_cache, about which torch.compile warns. The first call of all
# may be a compiled one: torch's arrays are not looked up there.
_NAMESPACES: dict[type, Any] = {}


def common_namespace(**arrays: Any) -> Any:
    """Find the namespace that all arrays share, and check that they lie on one device.

    Parameters
    ----------
    **arrays : array or None
        Arrays by the name of their argument; ``None`` is passed over. At least one is an array.

    Returns
    -------
    namespace
        The Array API namespace: the one of array-api-compat where that knows the library, else the one of
        the array's backend, which :func:`bnspec.registry.backend_of` finds.

    Raises
    ------
    TypeError
        If an argument is no array of a known library, or if two arrays are of different libraries.
    ValueError
        If two arrays lie on different devices.
    """
    given = {name: array for name, array in arrays.items() if array is not None}
    spaces = {name: _namespace_of(name, array) for name, array in given.items()}
    first, xp = next(iter(spaces.items()))
    if len(given) == 1:
        return xp
    for name, other in spaces.items():
        if other is not xp:
            raise TypeError(
                message(
                    "All arrays must be of one array library",
                    f"Convert {name} to the library of {first}.",
                    **{first: xp.__name__, name: other.__name__},
                )
            )
    devices = {name: device_of(array) for name, array in given.items()}
    known = {name: device for name, device in devices.items() if device is not None}
    if len({_short(device) for device in known.values()}) > 1:
        raise ValueError(message("All arrays must be on one device", "Move them to the device of the input.", **known))
    return xp


def device_of(array: Any) -> Any:
    """Return the device of an array, or None where it has none yet, as inside ``jax.jit``.

    Parameters
    ----------
    array : array
        An array of any known library.

    Returns
    -------
    device or None
        A hashable device object of the array's library.
    """
    # Not array_api_compat.device, for the reason given at _NAMESPACES. NumPy 2 has the attribute too;
    # a traced TensorFlow tensor has the device "" until the graph is placed.
    return getattr(array, "device", None) or None


def detached(array: Any) -> Any:
    """Cut an array out of its framework's graph: no gradient passes it, and on torch the graph is let go.

    Parameters
    ----------
    array : array
        An array of any known library.

    Returns
    -------
    array
        The same values.
    """
    cut = getattr(array, "detach", None)
    if cut is not None:  # not through the registry: torch.compile would have to trace that
        return cut()
    try:
        backend = registry.backend_of(array)
    except TypeError:
        return array  # of a library that array-api-compat knows and no backend: it has no gradients that we know of
    return backend.stop_gradient(array)


def _short(device: Any) -> Any:
    """TensorFlow writes one device as '/device:CPU:0' in a graph and '/job:localhost/.../device:CPU:0' outside."""
    return device.rpartition("/")[2] if isinstance(device, str) else device


def _namespace_of(name: str, array: Any) -> Any:
    kind = type(array)
    if kind in _NAMESPACES:
        return _NAMESPACES[kind]
    if issubclass(kind, np.ma.MaskedArray):
        raise TypeError(
            message(
                f"{name} must be an array without a mask",
                "Pass the data, and the mask as weights.",
                type=f"{kind.__module__}.{kind.__qualname__}",
            )
        )
    try:
        xp = _torch_namespace(kind) or array_api_compat.array_namespace(array)
    except TypeError:
        xp = None
    if xp is None:  # outside the handler, so that a refusal shows no other error before it
        xp = registry.backend_of(array, name=name).namespace()
    _NAMESPACES[kind] = xp
    return xp


def _torch_namespace(kind: type) -> Any:
    """Return the namespace of torch's arrays; None of others."""
    torch = sys.modules.get("torch")
    if torch is None or not issubclass(kind, torch.Tensor):
        return None
    import array_api_compat.torch  # noqa: PLC0415 - it imports torch

    return array_api_compat.torch
