"""PyTorch, on the CPU and on CUDA."""

from __future__ import annotations

import warnings
from functools import partial
from importlib import import_module
from math import pi, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

import array_api_compat.torch
import numpy as np
import torch

from bnspec.registry import backend_of
from bnspec_backends._base import Backend, bfloat16
from bnspec_backends._beyond import refined_erfinv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BACKEND"]


class Torch(Backend):
    """PyTorch; ``"torch:cuda"`` is the current CUDA device."""

    framework: ClassVar[str] = "torch"

    @property
    def version(self) -> str:
        return str(torch.__version__)

    def namespace(self) -> Any:
        return array_api_compat.torch

    def asarray(self, array: np.ndarray[Any, Any]) -> Any:
        device = self.at or "cpu"
        array = np.array(array, order="C")  # torch takes no negative strides
        if array.dtype.name == "bfloat16":  # torch takes NumPy's own dtypes only
            return torch.tensor(array.view(np.int16), device=device).view(torch.bfloat16)
        return torch.tensor(array, device=device)

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        array = array.detach().cpu()
        if array.dtype == torch.bfloat16:
            bits: np.ndarray[Any, Any] = array.contiguous().view(torch.int16).numpy().copy()
            return bits.view(bfloat16())
        copied: np.ndarray[Any, Any] = array.numpy().copy()
        return copied

    def owns(self, array: Any) -> bool:
        return isinstance(array, torch.Tensor) and array.device.type == (self.at or "cpu")

    def has_values(self, array: Any) -> bool:
        return not torch.compiler.is_compiling() and self.is_concrete(array)

    def variants(self) -> Mapping[str, str]:
        return {"cuda": "" if torch.cuda.is_available() else "torch.cuda.is_available() is False"}

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        with warnings.catch_warnings():
            # torch imports its own deprecated torch.jit when the inductor is first loaded.
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
            import_module("torch._inductor.compile_fx")
        return _compiled(function, "inductor")

    def modes(self) -> Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
        # All of torch.compile but its last step, which writes C++ for seconds; `compile` has that, too.
        return {"aot_eager": partial(_compiled, backend="aot_eager")}

    def is_concrete(self, array: Any) -> bool:
        # An array of torch.func is dead once that has returned. torch.compile cannot trace the question.
        return torch.compiler.is_compiling() or not torch._C._functorch.is_functorch_wrapped_tensor(array)  # noqa: SLF001

    def value_and_grad(self, function: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., tuple[Any, Any]]:
        grad_and_value = torch.func.grad_and_value(function, has_aux=has_aux)

        def swapped(*args: Any) -> tuple[Any, Any]:
            gradient, value = grad_and_value(*args)
            return value, gradient

        return swapped

    def synchronize(self, array: Any) -> None:
        if array.device.type == "cuda":
            torch.cuda.synchronize(array.device)

    def stop_gradient(self, x: Any) -> Any:
        return x.detach()

    def _erf(self, x: Any) -> Any:
        # In float32 the compiler's own kernel is off by 2^-24, and has no digit near 0.
        return torch.erf(x.double()).to(x.dtype) if _has_own_kernels(x) else torch.erf(x)

    def _erfinv(self, x: Any) -> Any:
        if not _has_own_kernels(x):
            return torch.erfinv(x)
        # The compiler's own kernel keeps 17 bits of float32 towards -1 and 1, and 14 of float64.
        return refined_erfinv(x.double(), _rough_erfinv, torch.erf, torch.erfc, torch).to(x.dtype)

    def _lgamma(self, x: Any) -> Any:
        return torch.lgamma(x)

    def _triangular_solve(self, a: Any, b: Any, *, lower: bool) -> Any:
        return torch.linalg.solve_triangular(a, b, upper=not lower)


def _compiled(function: Callable[..., Any], backend: str) -> Callable[..., Any]:
    def entry(*args: Any) -> Any:
        return function(*args)

    # torch counts recompilations by code object, and gives up at eight: every call here has its own.
    entry.__code__ = entry.__code__.replace()
    compiled: Callable[..., Any] = torch.compile(entry, fullgraph=True, dynamic=False, backend=backend)

    def run(*args: Any) -> Any:
        try:
            return compiled(*args)
        except torch._dynamo.exc.Unsupported as error:  # noqa: SLF001 - it has no public name
            if not isinstance(error.__cause__ or error.__context__, torch._dynamo.exc.ObservedException):  # noqa: SLF001
                raise
            unsupported = error
        # The function raised while it was traced, of which torch keeps the words alone: it raises the same at once.
        function(*args)
        raise unsupported

    return run


def _has_own_kernels(x: Any) -> bool:
    """Tell whether torch's compiler writes the kernels, in C++, instead of calling torch's."""
    return torch.compiler.is_compiling() and x.device.type == "cpu"


def _rough_erfinv(x: Any) -> Any:
    """Invert erf through the normal quantile, which the compiler leaves to torch, and near 0 by its tangent."""
    size = torch.abs(x)
    quantile = -torch.sign(x) * torch.special.ndtri((1.0 - size) / 2.0) / sqrt(2.0)
    return torch.where(size < 1e-3, x * (sqrt(pi) / 2.0), quantile)


BACKEND = Torch()

# torch.compile cannot trace the search for a backend: it is over before.
for _array in (torch.empty(0), torch.nn.Parameter(torch.empty(0))):
    backend_of(_array)
