"""Shifts and scales, whose Jacobians are constant."""

from __future__ import annotations

from typing import Any

import numpy as np

from bnspec.arrays import common_namespace, device_of, shape_of, sizes_of
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._domain import require_all
from bnspec.bijectors._reduction import summed
from bnspec.errors import message
from bnspec.variables import as_parameter, known_values, resolved

__all__ = ["Identity", "Scale", "ScaleMatvecDiag", "Shift", "no_change"]


class Identity(Bijector):
    """Map each number to itself.

    Parameters
    ----------
    validate_args : bool
        Accepted for the sake of uniformity: every number is allowed.
    name : str, optional
        By default, ``"identity"``.
    """

    def __init__(self, validate_args: bool = False, name: str | None = None) -> None:
        super().__init__(
            forward_min_event_ndims=0,
            is_constant_jacobian=True,
            validate_args=validate_args,
            parameters={"validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def is_affine(self) -> bool:
        """Whether each element of the output is a multiple of one of the input, plus a constant: yes."""
        return True

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        return x, no_change(x)

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        return y, no_change(y)


class Shift(Bijector):
    """Add: y = x + shift.

    Parameters
    ----------
    shift : number, nested list, array or Variable, shape broadcastable with that of x
        What is added.
    validate_args : bool
        Accepted for the sake of uniformity: every number is allowed.
    name : str, optional
        By default, ``"shift"``.

    Raises
    ------
    TypeError
        If `shift` is none of these, or not real floating.
    """

    def __init__(self, shift: Any, validate_args: bool = False, name: str | None = None) -> None:
        self._shift = _required("shift", shift)
        super().__init__(
            forward_min_event_ndims=0,
            is_constant_jacobian=True,
            validate_args=validate_args,
            parameters={"shift": shift, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def shift(self) -> Any:
        """What is added, as it was given."""
        return self._shift

    @property
    def is_affine(self) -> bool:
        """Whether each element of the output is a multiple of one of the input, plus a constant: yes."""
        return True

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        return True

    def _linear_part(self, direction: str, x: Any, condition: dict[str, Any]) -> Any:
        return common_namespace(x=x).broadcast_to(x, sizes_of(self.mapped(direction, x, {})[0]))

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        return x + resolved("shift", self._shift, x), no_change(x)

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        return y - resolved("shift", self._shift, y), no_change(y)


class Scale(Bijector):
    """Multiply: y = scale x, or y = exp(log_scale) x.

    Parameters
    ----------
    scale : number, nested list, array or Variable, shape broadcastable with that of x, optional
        The factor. It may be negative; the log-det is log |scale|.
    log_scale : number, nested list, array or Variable, shape broadcastable with that of x, optional
        The logarithm of a positive factor. The log-det is exact even where the factor over- or underflows.
    validate_args : bool
        Whether a scale of zero is refused.
    name : str, optional
        By default, ``"scale"``.

    Raises
    ------
    TypeError
        If an argument is none of these, or not real floating.
    ValueError
        If both of them or none are given.
    """

    def __init__(
        self, scale: Any = None, log_scale: Any = None, validate_args: bool = False, name: str | None = None
    ) -> None:
        if (scale is None) == (log_scale is None):
            raise ValueError(
                message("exactly one of scale and log_scale must be given", scale=scale, log_scale=log_scale)
            )
        self._scale = as_parameter("scale", scale)
        self._log_scale = as_parameter("log_scale", log_scale)
        super().__init__(
            forward_min_event_ndims=0,
            is_constant_jacobian=True,
            validate_args=validate_args,
            parameters={"scale": scale, "log_scale": log_scale, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def scale(self) -> Any:
        """The factor, as it was given."""
        return self._scale

    @property
    def log_scale(self) -> Any:
        """The logarithm of the factor, as it was given."""
        return self._log_scale

    @property
    def is_affine(self) -> bool:
        """Whether each element of the output is a multiple of one of the input, plus a constant: yes."""
        return True

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        if self._log_scale is not None:
            return True
        known = known_values(self._scale)
        if known is not None and ((known > 0.0).all() or (known < 0.0).all()):
            return bool((known > 0.0).all())
        return resolved("scale", self._scale, like) > 0.0

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        xp, scale, log_scale = self._factors(x)
        if scale is None:
            return x * xp.exp(log_scale), log_scale
        return x * scale, lambda: xp.log(xp.abs(scale))

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        xp, scale, log_scale = self._factors(y)
        if scale is None:
            return y * xp.exp(-log_scale), -log_scale
        return y / scale, lambda: -xp.log(xp.abs(scale))

    def _validate(self, direction: str, x: Any) -> None:
        _, scale, _ = self._factors(x)
        if scale is not None:
            require_all("scale must not be zero", scale != 0.0)

    def _factors(self, x: Any) -> tuple[Any, Any, Any]:
        scale, log_scale = resolved("scale", self._scale, x), resolved("log_scale", self._log_scale, x)
        return common_namespace(x=x), scale, log_scale


class ScaleMatvecDiag(Bijector):
    """Multiply vectors by a diagonal matrix: y = diag(scale_diag) x.

    Parameters
    ----------
    scale_diag : nested list, array or Variable, shape (..., D)
        The diagonal, or a batch of diagonals. It may be negative.
    validate_args : bool
        Whether a singular matrix is refused.
    name : str, optional
        By default, ``"scale_matvec_diag"``.

    Raises
    ------
    TypeError
        If `scale_diag` is none of these, or not real floating.
    ValueError
        If it has no axis. At a call, if the last axis of the input has not D elements: none is broadcast.
    """

    def __init__(self, scale_diag: Any, validate_args: bool = False, name: str | None = None) -> None:
        self._diagonal = _required("scale_diag", scale_diag)
        shape = shape_of(scale_diag) if hasattr(scale_diag, "shape") else np.shape(scale_diag)
        if not shape:
            raise ValueError(message("scale_diag must have at least one axis", "Use Scale for a factor.", shape=shape))
        self._size = shape[-1]
        super().__init__(
            forward_min_event_ndims=1,
            is_constant_jacobian=True,
            validate_args=validate_args,
            parameters={"scale_diag": scale_diag, "validate_args": validate_args, "name": name},
            name=name,
        )

    @property
    def scale_diag(self) -> Any:
        """The diagonal, as it was given."""
        return self._diagonal

    @property
    def is_affine(self) -> bool:
        """Whether each element of the output is a multiple of one of the input, plus a constant: yes."""
        return True

    def _forward_and_log_det(self, x: Any) -> tuple[Any, Any]:
        x, diagonal, log_det = self._prepared(x)
        return x * diagonal, log_det

    def _inverse_and_log_det(self, y: Any) -> tuple[Any, Any]:
        y, diagonal, log_det = self._prepared(y)
        return y / diagonal, lambda: -log_det()

    def _validate(self, direction: str, x: Any) -> None:
        require_all("scale_diag must not have a zero", resolved("scale_diag", self._diagonal, x) != 0.0)

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        self._require_size(shape)
        return (*shape[:-1], self._size)

    _inverse_event_shape = _forward_event_shape

    def _prepared(self, x: Any) -> tuple[Any, Any, Any]:
        """Check the event, and return it with the diagonal and what computes the log-det."""
        self._require_size(shape_of(x))
        diagonal = resolved("scale_diag", self._diagonal, x)
        xp = common_namespace(x=x)
        if shape_of(x)[-1] is None:  # the layout fails once the call runs, where broadcasting would not
            x = xp.reshape(x, (*sizes_of(x)[:-1], self._size))
        return x, diagonal, lambda: summed(xp.log(xp.abs(diagonal)), 1, xp)

    def _require_size(self, shape: tuple[Any, ...]) -> None:
        size = shape[-1]
        if isinstance(size, int) and size != self._size:
            raise ValueError(
                message(f"an event of {self.name} must have {self._size} elements", shape=shape, scale_diag=self._size)
            )


def no_change(x: Any) -> Any:
    """Return the log-det of a map that preserves volumes.

    Parameters
    ----------
    x : array

    Returns
    -------
    array, shape ()
        Zero.
    """
    return common_namespace(x=x).zeros((), dtype=x.dtype, device=device_of(x))


def _required(name: str, given: Any) -> Any:
    if given is None:
        raise TypeError(message(f"{name} must be a number, a list of numbers, an array or a Variable", **{name: given}))
    return as_parameter(name, given)
