"""The dtypes of the specification by name, because ``isdtype`` and ``finfo`` know no bfloat16 everywhere."""

from __future__ import annotations

from typing import Any

from bnspec.errors import message

__all__ = ["ACCUMULATES_IN", "accumulation_dtype", "dtype_name", "require_real_floating"]

ACCUMULATES_IN = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}
"""The dtype in which the statistics of an input dtype are computed: never below float32."""


def dtype_name(dtype: Any) -> str:
    """Name a dtype of any array library, for example ``"bfloat16"`` for ``torch.bfloat16``.

    Parameters
    ----------
    dtype : dtype
        A dtype object of NumPy, array-api-strict, PyTorch, CuPy, JAX, TensorFlow or Dask.

    Returns
    -------
    str
        The name in the Array API standard, or ``"bfloat16"``.
    """
    # torch and array-api-strict have no .name; both print as "<library>.<name>". numpy.float32 is a class.
    name: str = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype).rpartition(".")[2]
    return name


def require_real_floating(**arrays: Any) -> None:
    """Refuse every array that is not float16, bfloat16, float32 or float64.

    Parameters
    ----------
    **arrays : array or None
        Arrays by the name of their argument; ``None`` is passed over.

    Raises
    ------
    TypeError
        If an array is of another dtype; integer, boolean and complex input has no batch normalization.
    """
    for name, array in arrays.items():
        if array is not None and dtype_name(array.dtype) not in ACCUMULATES_IN:
            raise TypeError(
                message(
                    f"{name} must be real floating: {', '.join(ACCUMULATES_IN)}",
                    f"Convert it first, for example xp.astype({name}, xp.float32).",
                    dtype=dtype_name(array.dtype),
                )
            )


def accumulation_dtype(xp: Any, *arrays: Any) -> Any:
    """Choose the dtype in which arrays are computed together: float32, or float64 if one of them is.

    Parameters
    ----------
    xp : namespace
        The Array API namespace of the arrays.
    *arrays : array or None
        Real floating arrays; ``None`` is passed over.

    Returns
    -------
    dtype
        ``xp.float32`` or ``xp.float64``.
    """
    names = {ACCUMULATES_IN[dtype_name(array.dtype)] for array in arrays if array is not None}
    return xp.float64 if "float64" in names else xp.float32
