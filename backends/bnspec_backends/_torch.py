"""PyTorch, on the CPU and on CUDA."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import array_api_compat.torch
import numpy as np
import torch

from bnspec_backends._base import Backend, bfloat16

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

    def variants(self) -> Mapping[str, str]:
        return {"cuda": "" if torch.cuda.is_available() else "torch.cuda.is_available() is False"}

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        with warnings.catch_warnings():
            # torch imports its own deprecated torch.jit when the inductor is first loaded.
            warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
            import torch._inductor.compile_fx  # noqa: PLC0415

        def entry(*args: Any) -> Any:
            return function(*args)

        # torch counts recompilations by code object, and gives up at eight: every call here has its own.
        entry.__code__ = entry.__code__.replace()
        compiled: Callable[..., Any] = torch.compile(entry, fullgraph=True, dynamic=False)
        return compiled

    def value_and_grad(self, function: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
        grad_and_value = torch.func.grad_and_value(function)

        def swapped(*args: Any) -> tuple[Any, Any]:
            gradient, value = grad_and_value(*args)
            return value, gradient

        return swapped

    def synchronize(self, array: Any) -> None:
        if array.device.type == "cuda":
            torch.cuda.synchronize(array.device)


BACKEND = Torch()
