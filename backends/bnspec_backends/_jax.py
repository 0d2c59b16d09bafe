"""JAX, in 32 and in 64 bit, on the CPU and on CUDA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bnspec_backends._base import Backend
from bnspec_backends._beyond import leading, refined_erfinv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

__all__ = ["BACKEND"]


class Jax(Backend):
    """JAX; ``"jax:x64"`` has 64-bit floats, ``"jax:cuda"`` is the first CUDA device.

    Arrays of ``"jax:x64"`` belong inside its :meth:`context`; outside it JAX computes with them in 32 bit.
    """

    framework: ClassVar[str] = "jax"

    @property
    def version(self) -> str:
        return str(jax.__version__)

    def namespace(self) -> Any:
        return jnp

    @property
    def device(self) -> Any:
        """The device on which arrays are made."""
        return jax.devices("cuda" if self.at == "cuda" else "cpu")[0]

    def asarray(self, array: np.ndarray[Any, Any]) -> Any:
        # jax.device_put may alias a NumPy array on the CPU.
        return jax.device_put(array.copy(), self.device)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        return np.array(array)

    def owns(self, array: Any) -> bool:
        return isinstance(array, jax.Array) and array.devices() == {self.device}

    def is_concrete(self, array: Any) -> bool:
        return not isinstance(array, jax.core.Tracer)

    def gaps(self) -> Mapping[str, str]:
        return {} if self.at == "x64" else {"float64": "JAX without x64 has no float64; see jax:x64"}

    def variants(self) -> Mapping[str, str]:
        try:
            jax.devices("cuda")
        except RuntimeError as error:
            missing = str(error).partition("\n")[0]
        else:
            missing = ""
        return {"x64": "", "cuda": missing}

    def context(self) -> AbstractContextManager[Any]:
        mode: AbstractContextManager[Any] = jax.enable_x64(self.at == "x64")
        return mode

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = jax.jit(function)
        return compiled

    def modes(self) -> Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
        return {"jit": self.compile}

    def value_and_grad(self, function: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., tuple[Any, Any]]:
        differentiated: Callable[..., tuple[Any, Any]] = jax.value_and_grad(function, has_aux=has_aux)
        return differentiated

    def synchronize(self, array: Any) -> None:
        array.block_until_ready()

    def stop_gradient(self, x: Any) -> Any:
        return lax.stop_gradient(x)

    def scan(self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
        last: tuple[Any, Any] = lax.scan(step, carry, xs, length=leading(xs))
        return last

    def _erf(self, x: Any) -> Any:
        return lax.erf(x)

    def _erfinv(self, x: Any) -> Any:
        # XLA's own loses 6 bits in float32 and 19 in float64 towards -1 and 1.
        return refined_erfinv(x, lax.erf_inv, lax.erf, lax.erfc, jnp)

    def _lgamma(self, x: Any) -> Any:
        return lax.lgamma(x)

    def _triangular_solve(self, a: Any, b: Any, *, lower: bool) -> Any:
        return lax.linalg.triangular_solve(a, b, left_side=True, lower=lower)


BACKEND = Jax()
