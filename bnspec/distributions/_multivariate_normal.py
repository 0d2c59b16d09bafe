"""MultivariateNormalDiag: vectors of independent normal numbers."""

from __future__ import annotations

from typing import Any

from bnspec.arrays import common_namespace, device_of, sizes_of
from bnspec.distributions._gaussian import Gaussian
from bnspec.errors import message
from bnspec.variables import as_parameter, known_values, parameter_shape, resolved

__all__ = ["MultivariateNormalDiag"]


class MultivariateNormalDiag(Gaussian):
    """The multivariate normal distribution with a diagonal covariance.

    Parameters
    ----------
    loc : nested list of numbers, array or Variable, shape (*B, N), optional
        The means; by default 0.
    scale_diag : nested list of numbers, array or Variable, shape (*B, N), optional
        The diagonal of the matrix that standard normal vectors are multiplied by; by default 1. Where it is negative,
        the standard deviation is its magnitude. The two are broadcast, N = 1 with any N too.
    validate_args : bool
        Whether it is checked where it is known: no element may be 0.
    name : str
        The name.

    Raises
    ------
    TypeError
        If an argument is not as described, or the two are of several libraries or dtypes.
    ValueError
        If neither is given, one is a scalar, their shapes do not fit, or a standard deviation is 0 and
        `validate_args`.
    """

    def __init__(
        self,
        loc: Any = None,
        scale_diag: Any = None,
        validate_args: bool = False,
        name: str = "MultivariateNormalDiag",
    ) -> None:
        if loc is None and scale_diag is None:
            raise ValueError(
                message("loc or scale_diag must be given", "Without one, the size of the vectors is not known.")
            )
        for key, value in (("loc", loc), ("scale_diag", scale_diag)):
            if value is not None and parameter_shape(as_parameter(key, value)) == ():
                raise ValueError(
                    message(f"{key} must have at least one axis", "Make it a list, for example [1.0].", **{key: value})
                )
        super().__init__(
            loc, scale_diag, scale_name="scale_diag", event_ndims=1, validate_args=validate_args, name=name
        )

    @property
    def scale_diag(self) -> Any:
        """The diagonal, as it was given."""
        return self._factors

    def _spread(self, like: Any) -> Any:
        diagonal = resolved("scale_diag", self._factors, like)
        return None if diagonal is None else common_namespace(like=like).abs(diagonal)

    def _validate(self) -> None:
        scale = None if self._factors is None else known_values(self._factors)
        if scale is not None and not (scale != 0.0).all():
            raise ValueError(message("scale_diag must not be 0", scale_diag=scale))

    def _covariance(self, like: Any, condition: dict[str, Any]) -> Any:
        variance = self._variance(like, condition)
        xp = common_namespace(like=like)
        size = sizes_of(variance)[-1]
        place = xp.arange(size, dtype=xp.int32, device=device_of(like))
        diagonal = xp.expand_dims(place, axis=0) == xp.expand_dims(place, axis=1)
        return xp.where(diagonal, xp.expand_dims(variance, axis=-1), xp.zeros_like(variance[..., :1, None]))
