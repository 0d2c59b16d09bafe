"""CuPy: NumPy on CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import array_api_compat.cupy
import cupy
import cupyx.scipy.linalg
import cupyx.scipy.special
from numpy import ndindex

from bnspec.errors import message
from bnspec_backends._base import Backend

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

__all__ = ["BACKEND"]


class CuPy(Backend):
    """CuPy on the current CUDA device."""

    framework: ClassVar[str] = "cupy"

    @property
    def version(self) -> str:
        return str(cupy.__version__)

    def namespace(self) -> Any:
        return array_api_compat.cupy

    def asarray(self, array: np.ndarray[Any, Any]) -> Any:
        return cupy.array(array)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        copied: np.ndarray[Any, Any] = cupy.asnumpy(array).copy()
        return copied

    def owns(self, array: Any) -> bool:
        return isinstance(array, cupy.ndarray)

    def gaps(self) -> Mapping[str, str]:
        return {
            "bfloat16": "CuPy has no bfloat16 arithmetic",
            "compile": "CuPy compiles kernels, not functions",
            "autodiff": "CuPy has no automatic differentiation",
        }

    def synchronize(self, array: Any) -> None:
        with array.device:
            cupy.cuda.get_current_stream().synchronize()

    def _erf(self, x: Any) -> Any:
        return cupyx.scipy.special.erf(x)

    def _erfinv(self, x: Any) -> Any:
        return cupyx.scipy.special.erfinv(x)

    def _lgamma(self, x: Any) -> Any:
        # As SciPy's, it may have -inf at -inf.
        return cupyx.scipy.special.gammaln(cupy.where(x == -cupy.inf, -x, x))

    def _triangular_solve(self, a: Any, b: Any, *, lower: bool) -> Any:
        solved = cupy.empty_like(b)
        if solved.size:
            for place in ndindex(*b.shape[:-2]):
                solved[place] = cupyx.scipy.linalg.solve_triangular(a[place], b[place], lower=lower)
        return solved


if not cupy.is_available():
    raise ImportError(message("cupy needs a CUDA device", "cupy.is_available() is False on this machine."))

BACKEND = CuPy()
