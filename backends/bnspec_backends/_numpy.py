"""NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import array_api_compat.numpy
import numpy as np

from bnspec_backends._base import Backend

if TYPE_CHECKING:
    from collections.abc import Mapping

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


BACKEND = NumPy()
