"""A bounded logarithm of the scale of a coupling layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import accumulation_dtype, common_namespace, device_of
from bnspec.variables import Module, Variable, require_concrete, resolved

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BoundedScale"]


class BoundedScale(Module):
    """Let the logarithm of a scale be a learned factor times the hyperbolic tangent of what a network returns.

    Parameters
    ----------
    network : callable
        Called as ``network(x, output_units)``, it returns a pair (shift, log_scale).

    Notes
    -----
    The factor, one number for each unit, begins at 1. It is made at the first call.

    References
    ----------
    .. [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density estimation using Real NVP, arXiv:1605.08803, section 4.1.
    """

    def __init__(self, network: Callable[[Any, int], tuple[Any, Any]]) -> None:
        self.network = network
        self._factor: Variable | None = None

    @property
    def factor(self) -> Variable | None:
        """The factor: a variable of shape (D,); None before it is made."""
        return self._factor

    @property
    def built(self) -> bool:
        """Whether there are all variables."""
        return self._factor is not None and super().built

    def __call__(self, x: Any, output_units: int) -> tuple[Any, Any]:
        """Compute the shift and the logarithm of the scale.

        Parameters
        ----------
        x : array, shape (*B, I), real floating
            The units that are not transformed.
        output_units : int
            D, the number of units that are.

        Returns
        -------
        shift, log_scale : array, shape (*B, D)

        Raises
        ------
        TypeError, ValueError
            As of the network.
        """
        shift, log_scale = self.network(x, output_units)
        xp = common_namespace(x=x)
        if self._factor is None:
            require_concrete("factor", x)
            ones = xp.ones((output_units,), dtype=accumulation_dtype(xp, x), device=device_of(x))
            self._factor = Variable("factor", ones, trainable=True)
        return shift, resolved("factor", self._factor, like=log_scale) * xp.tanh(log_scale)
