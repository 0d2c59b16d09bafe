"""What the peers on PyTorch have in common: arrays in and out, and derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

__all__ = ["differentiated", "received", "second", "sent"]


def sent(x: Array) -> Any:
    """Copy an array to PyTorch."""
    import torch  # noqa: PLC0415 - when it is needed

    if x.dtype.name == "bfloat16":
        return torch.tensor(x.astype(np.float32)).to(torch.bfloat16)
    return torch.tensor(x)


def received(tensor: Any) -> Array:
    """Copy a tensor to NumPy."""
    import torch  # noqa: PLC0415 - when it is needed

    if tensor.dtype == torch.bfloat16:
        import ml_dtypes  # noqa: PLC0415 - an extra

        return np.array(tensor.detach().float().numpy().astype(ml_dtypes.bfloat16))
    return np.array(tensor.detach().numpy())


def differentiated(
    forward: Callable[[Any], Any], x: Array, cotangent: Array, parameters: dict[str, Any]
) -> dict[str, Array]:
    """Go backward to x and to parameters."""
    import torch  # noqa: PLC0415 - when it is needed

    given = sent(x).requires_grad_()
    found = torch.autograd.grad(forward(given), [given, *parameters.values()], sent(cotangent))
    return dict(zip(["x", *parameters], map(received, found), strict=True))


def second(forward: Callable[[Any], Any], x: Array, cotangent: Array, tangent: Array) -> Array:
    """Go backward through the gradient of x, along a tangent."""
    import torch  # noqa: PLC0415 - when it is needed

    given = sent(x).requires_grad_()
    (gradient,) = torch.autograd.grad(forward(given), given, sent(cotangent), create_graph=True)
    (found,) = torch.autograd.grad(gradient, given, sent(tangent))
    return received(found)
