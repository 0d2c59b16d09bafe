"""array-api-strict: the standard and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import array_api_strict
import numpy as np

from bnspec_backends._base import Backend
from bnspec_backends._numpy import BACKEND as NUMPY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

__all__ = ["BACKEND"]


class Strict(Backend):
    """array-api-strict with its strictest flags."""

    framework: ClassVar[str] = "array-api-strict"

    @property
    def version(self) -> str:
        return str(array_api_strict.__version__)

    def namespace(self) -> Any:
        return array_api_strict

    def asarray(self, array: np.ndarray[Any, Any]) -> Any:
        return array_api_strict.asarray(array, copy=True)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        # Its second, fake device refuses the conversion.
        return np.array(array.to_device(array_api_strict.Device("CPU_DEVICE")))

    def owns(self, array: Any) -> bool:
        return type(array).__module__.partition(".")[0] == "array_api_strict"

    def gaps(self) -> Mapping[str, str]:
        half = "the Array API standard has no half-precision floats"
        return {
            "float16": half,
            "bfloat16": half,
            "compile": "array-api-strict has no compiler",
            "autodiff": "array-api-strict has no automatic differentiation",
        }

    def context(self) -> AbstractContextManager[Any]:
        flags: AbstractContextManager[Any] = array_api_strict.ArrayAPIStrictFlags(
            boolean_indexing=False, data_dependent_shapes=False, enabled_extensions=()
        )
        return flags

    def _erf(self, x: Any) -> Any:
        return self._back(NUMPY.erf(self.to_numpy(x)), x)

    def _erfinv(self, x: Any) -> Any:
        return self._back(NUMPY.erfinv(self.to_numpy(x)), x)

    def _lgamma(self, x: Any) -> Any:
        return self._back(NUMPY.lgamma(self.to_numpy(x)), x)

    def _triangular_solve(self, a: Any, b: Any, *, lower: bool) -> Any:
        return self._back(NUMPY.triangular_solve(self.to_numpy(a), self.to_numpy(b), lower=lower), b)

    def _back(self, array: np.ndarray[Any, Any], like: Any) -> Any:
        return array_api_strict.asarray(array, device=like.device)


BACKEND = Strict()
