"""The rule of each kind of bijector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .autoregressive import Autoregressive
from .coupling import Coupling
from .rules import Blockwise, Chain, Elementwise, Invert, Permute, Reshape
from .spline import Spline, SplineCoupling

if TYPE_CHECKING:
    from .reference import Rule

__all__ = ["ELEMENTWISE", "RULES"]

ELEMENTWISE = (
    "AbsoluteValue",
    "Exp",
    "Identity",
    "Log",
    "Reciprocal",
    "Scale",
    "ScaleMatvecDiag",
    "Shift",
    "Sigmoid",
    "Softplus",
    "Tanh",
)
"""Those with a formula."""

RULES: dict[str, Rule] = {
    **{kind: Elementwise(1 if kind == "ScaleMatvecDiag" else 0) for kind in ELEMENTWISE},
    "Blockwise": Blockwise(),
    "Chain": Chain(),
    "Invert": Invert(),
    "MaskedAutoregressiveFlow": Autoregressive(),
    "Permute": Permute(),
    "RationalQuadraticSpline": Spline(),
    "RealNVP": Coupling(),
    "RealNVP of splines": SplineCoupling(),
    "Reshape": Reshape(),
}
"""Kind to rule."""
