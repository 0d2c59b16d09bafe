"""Real NVP: some units of an event stay, and say how the others are transformed."""

from __future__ import annotations

from fractions import Fraction
from numbers import Real
from operator import index
from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace, shape_of, sizes_of
from bnspec.bijectors._conditioned import Conditioned, affine_map, map_through, require_one
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable

    from bnspec.bijectors._base import Bijector

__all__ = ["RealNVP"]


class RealNVP(Conditioned):
    """Scale and shift some units of a vector by functions of the others, which stay: an affine coupling layer.

    Parameters
    ----------
    num_masked : int, optional
        n, the number of units that stay. With n >= 0, the first n do; with n < 0, the last -n do. Below the size of
        the event. With n = 0, the function is given no units.
    fraction_masked : float, optional
        f in [-1, 1] instead: n is D f, rounded towards zero, where D is the size of the event and f is the decimal
        number that it is written as: 0.29 of 100 units are 29.
    shift_and_log_scale_fn : callable, optional
        Called as ``fn(x0, output_units, **condition)`` with the units that stay, of shape (*B, |n|), and the number of
        the others. It returns a pair (shift, log_scale). Either may be None. Arrays, numbers or lists, they are
        broadcast to the other units.
    bijector_fn : callable, optional
        Called in the same way instead. It returns a :class:`Bijector` of scalars or vectors that transforms the others.
    is_constant_jacobian : bool
        Whether the log-det does not depend on the input: without a scale, it does not.
    validate_args : bool
        Accepted for TFP's sake: what can be checked always is.
    name : str, optional
        By default, ``"real_nvp"``.

    Raises
    ------
    TypeError
        If `num_masked` is no integer, `fraction_masked` no real number, or a function is not callable.
    ValueError
        If both or neither of the first two are given, or of the two functions; if `fraction_masked` is not in [-1, 1].

    Notes
    -----
    With the units x0 that stay and the others x1: y0 = x0, y1 = x1 exp(log_scale) + shift, and the log-det is the sum
    of log_scale over the units x1 [1]_. Without log_scale it is 0 [2]_.

    Each method calls the function once. Conditions are the further arguments of the function, found in its signature.
    Nothing is kept of the size of an event. To mask other units than the first or last, permute them before; an event
    of a higher rank is to be reshaped.

    References
    ----------
    .. [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density estimation using Real NVP, arXiv:1605.08803.
    .. [2] L. Dinh, D. Krueger, Y. Bengio, NICE: Non-linear independent components estimation, arXiv:1410.8516.
    """

    def __init__(
        self,
        num_masked: int | None = None,
        fraction_masked: float | None = None,
        shift_and_log_scale_fn: Callable[..., tuple[Any, Any]] | None = None,
        bijector_fn: Callable[..., Bijector] | None = None,
        is_constant_jacobian: bool = False,
        validate_args: bool = False,
        name: str | None = None,
    ) -> None:
        require_one(num_masked=num_masked, fraction_masked=fraction_masked)
        number = None if num_masked is None else _as_number(num_masked)
        fraction = None if fraction_masked is None else _as_fraction(fraction_masked)
        # Two integers, and not a fraction: compilers trace the arithmetic of these.
        self._fraction = None if fraction is None else fraction.as_integer_ratio()
        self._number = number
        super().__init__(
            shift_and_log_scale_fn,
            bijector_fn,
            placed=2,
            forward_min_event_ndims=1,
            is_constant_jacobian=is_constant_jacobian,
            validate_args=validate_args,
            parameters={
                "num_masked": number,
                "fraction_masked": fraction_masked
                if fraction is None or not hasattr(fraction_masked, "dtype")
                else float(fraction),
                "is_constant_jacobian": is_constant_jacobian,
                "validate_args": validate_args,
                "name": name,
            },
            name=name,
        )

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        if isinstance(shape[-1], int):
            self._masked(shape)
        return shape

    _inverse_event_shape = _forward_event_shape

    def _forward_and_log_det(self, x: Any, **condition: Any) -> tuple[Any, Any]:
        return self._coupled("forward", x, condition)

    def _inverse_and_log_det(self, y: Any, **condition: Any) -> tuple[Any, Any]:
        return self._coupled("inverse", y, condition)

    def _coupled(self, direction: str, x: Any, condition: dict[str, Any]) -> tuple[Any, Any]:
        count, units, last = self._masked(shape_of(x))
        kept, moved = (x[..., units:], x[..., :units]) if last else (x[..., :count], x[..., count:])
        made = self._fn(kept, units, **condition)
        if self._affine:
            moved, log_det = affine_map(direction, moved, made, 1)
        else:
            moved, log_det = map_through(direction, moved, made, 1, most=1)
        xp = common_namespace(x=x)
        kept = xp.broadcast_to(kept, (*sizes_of(moved)[:-1], count))  # a condition may have the larger batch
        return xp.concat([moved, kept] if last else [kept, moved], axis=-1), log_det

    def _masked(self, shape: tuple[int | None, ...]) -> tuple[int, int, bool]:
        """Return how many units stay, how many are transformed, and whether it is the last ones that stay."""
        size = shape[-1]
        if size is None:
            raise ValueError(
                message("the size of an event must be known", "Trace with a known last axis.", shape=shape)
            )
        if self._fraction is None:
            number = self._number or 0
            count, last, given = abs(number), number < 0, {"num_masked": number}
        else:
            over, under = self._fraction
            count, last = abs(over) * size // under, over < 0
            given = {"fraction_masked": self._parameters["fraction_masked"]}
        if count >= size:
            (which,) = given
            raise ValueError(
                message(f"{which} must leave a unit of the event", "Mask fewer units.", **given, event_size=size)
            )
        return count, size - count, last


def _as_number(given: Any) -> int:
    try:
        number = index(given)
    except TypeError:
        number = None
    if number is None or isinstance(given, bool):
        raise TypeError(message("num_masked must be an integer", num_masked=given))
    return number


def _as_fraction(given: Any) -> Fraction:
    if isinstance(given, bool) or not isinstance(given, Real):
        raise TypeError(message("fraction_masked must be a real number", fraction_masked=given))
    if not -1.0 <= float(given) <= 1.0:  # NaN is not
        raise ValueError(message("fraction_masked must be in [-1, 1]", fraction_masked=given))
    return Fraction(str(given))
