"""NumPy."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import array_api_compat.numpy
import numpy as np

from bnspec.errors import message
from bnspec_backends._base import Backend

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

__all__ = ["BACKEND"]


class NumPy(Backend):
    """NumPy on the CPU; bfloat16 through ml_dtypes."""

    framework: ClassVar[str] = "numpy"

    @property
    def version(self) -> str:
        return np.__version__

    def namespace(self) -> Any:
        return array_api_compat.numpy

    def asarray(self, array: np.ndarray[Any, Any]) -> Any:
        return array.copy()

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        return np.array(array)

    def owns(self, array: Any) -> bool:
        return isinstance(array, (np.ndarray, np.generic))

    def gaps(self) -> Mapping[str, str]:
        return {
            "compile": "NumPy has no compiler",
            "autodiff": "NumPy has no automatic differentiation",
        }

    def _erf(self, x: Any) -> Any:
        return np.asarray(_scipy("special").erf(x))

    def _erfinv(self, x: Any) -> Any:
        return np.asarray(_scipy("special").erfinv(x))

    def _lgamma(self, x: Any) -> Any:
        # SciPy has -inf at -inf, where C and everybody else have inf.
        return np.asarray(_scipy("special").gammaln(np.where(x == -np.inf, -x, x)))

    def _triangular_solve(self, a: Any, b: Any, *, lower: bool) -> Any:
        # BLAS, because solve_triangular refuses a zero on the diagonal and has batches since SciPy 1.15 only.
        blas = _scipy("linalg.blas")
        solved = np.empty_like(b)
        if solved.size:
            trsm = blas.get_blas_funcs("trsm", (a, b))
            for place in np.ndindex(*b.shape[:-2]):
                solved[place] = trsm(1.0, a[place], b[place], lower=lower)
        return solved


def _scipy(module: str) -> ModuleType:
    """Import a part of SciPy, which only what goes beyond the standard needs."""
    try:
        return import_module(f"scipy.{module}")
    except ModuleNotFoundError as error:
        raise ImportError(
            message("NumPy must have SciPy beside it", "Install it: pip install 'bnspec[scipy]'.", error=error)
        ) from error


BACKEND = NumPy()
