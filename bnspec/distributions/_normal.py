"""Normal: numbers with a mean and a standard deviation."""

from __future__ import annotations

from typing import Any

from bnspec.arrays import common_namespace
from bnspec.distributions._gaussian import Gaussian
from bnspec.distributions._standard_normal import cdf, log_cdf, quantile
from bnspec.errors import message
from bnspec.variables import known_values

__all__ = ["Normal"]


class Normal(Gaussian):
    """The normal distribution, element by element.

    Parameters
    ----------
    loc : number, nested list of numbers, array or Variable
        The means.
    scale : number, nested list of numbers, array or Variable
        The standard deviations, broadcast with the means. They must be positive: others give NaN, which
        ``validate_args`` refuses.
    validate_args : bool
        Whether they are checked where they are known.
    name : str
        The name.

    Raises
    ------
    TypeError
        If an argument is not as described, or the two are of several libraries or dtypes.
    ValueError
        If their shapes do not fit, or a standard deviation is not positive and `validate_args`.

    Notes
    -----
    ``log_cdf`` and ``log_survival_function`` are accurate in the far tails, and so are ``cdf``,
    ``survival_function`` and ``quantile`` in those near 0.
    """

    def __init__(self, loc: Any, scale: Any, validate_args: bool = False, name: str = "Normal") -> None:
        for key, value in (("loc", loc), ("scale", scale)):
            if value is None:
                raise TypeError(message(f"{key} must be given", **{key: value}))
        super().__init__(loc, scale, scale_name="scale", event_ndims=0, validate_args=validate_args, name=name)

    @property
    def scale(self) -> Any:
        """The standard deviations, as they were given."""
        return self._factors

    def _validate(self) -> None:
        scale = known_values(self._factors)
        if scale is not None and not (scale > 0.0).all():
            raise ValueError(message("scale must be positive", scale=scale))

    def _cdf(self, x: Any, condition: dict[str, Any]) -> Any:
        return cdf(self._standardized(x)[0], common_namespace(x=x))

    def _log_cdf(self, x: Any, condition: dict[str, Any]) -> Any:
        return log_cdf(self._standardized(x)[0], common_namespace(x=x))

    def _survival_function(self, x: Any, condition: dict[str, Any]) -> Any:
        return cdf(-self._standardized(x)[0], common_namespace(x=x))

    def _log_survival_function(self, x: Any, condition: dict[str, Any]) -> Any:
        return log_cdf(-self._standardized(x)[0], common_namespace(x=x))

    def _quantile(self, p: Any, condition: dict[str, Any]) -> Any:
        loc, scale = self._resolved(p)
        return loc + scale * quantile(p, common_namespace(p=p))

    def _inverse_survival_function(self, p: Any, condition: dict[str, Any]) -> Any:
        loc, scale = self._resolved(p)
        return loc - scale * quantile(p, common_namespace(p=p))
