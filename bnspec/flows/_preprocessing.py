"""Levels, such as those of pixels, as numbers that a flow can have a density of."""

from __future__ import annotations

from math import log
from typing import Any

from bnspec.arrays import common_namespace, random_uniform, require_real_floating, sizes_of
from bnspec.bijectors import Bijector
from bnspec.bijectors._domain import require_all
from bnspec.bijectors._elementwise import magnitude
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.layers._objects import require_number
from bnspec.variables import has_values

__all__ = ["Levels", "dequantized"]


class Levels(Bijector):
    """Map all numbers onto the levels of pixels; ``inverse`` is the logit of alpha + (1 - 2 alpha) x / levels.

    Parameters
    ----------
    levels : int
        L, how many there are: 0 to L - 1, and noise of [0, 1) on top of them.
    alpha : float
        How far from the ends of (0, 1) the logit begins, in (0, 1/2): 1e-6 for digits and 0.05 for photographs in [1]_,
        0.05 in [2]_, which has alpha + (1 - alpha) x / L.
    validate_args : bool
        Whether ``inverse`` refuses what is outside [0, L], where the values are known.
    name : str, optional
        By default, ``"levels"``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    It is the last map towards the data: ``Levels(256)(flow)``, so that the log-density is that of the levels, the
    log-det of the logit and of the division by L included. ``forward`` is a :class:`bnspec.bijectors.Sigmoid` between
    -b and L + b, b = L alpha / (1 - 2 alpha), what is outside [0, L] included.

    With n = y + b or (L - y) + b, whichever is less, and W = L + 2 b, the inverse is log(1 + |2 y - L| / n), negative
    in the lower half, with the log-det -log(n) - log((W - n) / W). L + b is never formed: b may be lost in it.

    References
    ----------
    .. [1] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation,
       arXiv:1705.07057, section 4.3.
    .. [2] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density estimation using Real NVP, arXiv:1605.08803, section 4.1.
    """

    def __init__(
        self, levels: int = 256, alpha: float = 0.05, validate_args: bool = True, name: str | None = None
    ) -> None:
        self._levels = as_ndims("levels", levels, 1)
        self._alpha = require_number("alpha", alpha)
        if not 0.0 < self._alpha < 0.5:
            raise ValueError(message("alpha must be in (0, 1/2)", alpha=alpha))
        self._beyond = self._levels * self._alpha / (1.0 - 2.0 * self._alpha)
        self._width = self._levels + 2.0 * self._beyond
        super().__init__(
            forward_min_event_ndims=0,
            validate_args=validate_args,
            parameters={"levels": self._levels, "alpha": self._alpha, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def levels(self) -> int:
        """How many levels there are."""
        return self._levels

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        xp, most = common_namespace(x=x), float(self._levels)
        size = magnitude(x, xp)
        decayed = xp.exp(-size)
        inward = self._width * (decayed / (1.0 + decayed)) - self._beyond
        return xp.where(x >= 0.0, most - inward, inward), lambda: log(self._width) - size - 2.0 * xp.log1p(decayed)

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        xp, most = common_namespace(y=y), float(self._levels)
        upper = 2.0 * y >= most
        near = xp.where(upper, most - y, y) + self._beyond
        size = xp.log1p(magnitude(2.0 * y - most, xp) / near)
        return xp.where(upper, size, -size), lambda: -xp.log(near) - xp.log((self._width - near) / self._width)

    def _validate(self, direction: str, x: Any) -> None:
        if direction == "inverse":
            cure = "Say how many levels there are, or scale the data."
            inside = (x >= 0.0) & (x <= float(self._levels))
            require_all(f"data must be in [0, {self._levels}], the levels and their noise", inside, cure)


def dequantized(x: Any, levels: int, key: Any) -> Any:
    """Add uniform noise of [0, 1) to levels, so that they have a density.

    Parameters
    ----------
    x : array, shape S, real floating
        Integers from 0 to L - 1.
    levels : int
        L.
    key : array, shape (2,), int32
        Of :func:`bnspec.arrays.random_key` or :func:`bnspec.arrays.fold_in`. The same key gives the same noise, to the
        bit, on every backend.

    Returns
    -------
    array, shape S, of x's dtype
        In [0, L], which rounding may reach.

    Raises
    ------
    TypeError
        If `x` is not real floating.
    ValueError
        If, where the values are known, one is no level.
    """
    require_real_floating(x=x)
    xp = common_namespace(x=x, key=key)
    most = as_ndims("levels", levels, 1) - 1
    if has_values(x):
        cure = "Say how many levels there are, or round the data."
        require_all(f"x must be integers from 0 to {most}", (x >= 0) & (x <= most) & (xp.floor(x) == x), cure)
    return x + (1.0 - random_uniform(key, sizes_of(x), x.dtype, xp))
