"""What a call requires of its arguments, besides their namespace, device and dtype class."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

from bnspec.arrays import dtype_name, fits, shape_of
from bnspec.batchnorm._layout import Layout
from bnspec.errors import message

if TYPE_CHECKING:
    from bnspec.batchnorm._definition import BatchNorm
    from bnspec.batchnorm._values import State

__all__ = [
    "require_adjustment",
    "require_momentum",
    "require_parameters",
    "require_state",
    "require_training",
    "require_virtual_batch_size",
]


def require_momentum(momentum: Any) -> float | None:
    """Take a momentum: a number in [0, 1], or None."""
    if momentum is None:
        return None
    if isinstance(momentum, bool) or not isinstance(momentum, Real):
        raise TypeError(message("momentum must be a real number or None", momentum=momentum))
    if not 0 <= float(momentum) <= 1:  # NaN is not
        raise ValueError(message("momentum must be in [0, 1]", momentum=momentum))
    return float(momentum)


def require_virtual_batch_size(size: Any) -> None:
    """Require a positive integer, or None."""
    if size is None:
        return
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError(message("virtual_batch_size must be an integer or None", virtual_batch_size=size))
    if size <= 0:
        raise ValueError(message("virtual_batch_size must be positive", virtual_batch_size=size))


def require_training(training: Any) -> None:
    """Require a bool, or a boolean array of shape ()."""
    if isinstance(training, bool):
        return
    if not hasattr(training, "dtype") or dtype_name(training.dtype) != "bool" or shape_of(training) != ():
        raise TypeError(message("training must be a bool, or a boolean array of shape ()", training=training))


def require_adjustment(adjustment: Any, x: Any, virtual_batch_size: int | None) -> tuple[Any, Any]:
    """Take a pair of arrays that broadcast to x, or None twice."""
    if adjustment is None:
        return None, None
    if virtual_batch_size is not None:
        raise ValueError(
            message("adjustment must be None with virtual_batch_size", virtual_batch_size=virtual_batch_size)
        )
    if not isinstance(adjustment, (tuple, list)) or len(adjustment) != 2 or any(part is None for part in adjustment):
        raise TypeError(message("adjustment must be a pair of arrays, scale and bias", adjustment=adjustment))
    for part in adjustment:
        given = shape_of(part) if hasattr(part, "shape") else ()
        tail = shape_of(x)[-len(given) :] if given else ()
        wanted = tuple(1 if size == 1 else other for size, other in zip(given, tail, strict=False))
        if not fits(given, wanted):
            raise ValueError(message("adjustment must broadcast to x", x=shape_of(x), adjustment=given))
    return adjustment[0], adjustment[1]


def require_parameters(spec: BatchNorm, arrays: dict[str, Any], layout: Layout) -> None:
    """Require the parameters and averages that a configuration has, each of shape K."""
    for name, present in (("gamma", spec.scale), ("beta", spec.center)):
        if (arrays[name] is not None) != present:
            raise ValueError(
                message(
                    f"{name} must be {'an array' if present else 'None'} with center={spec.center}, scale={spec.scale}",
                    "Take the params that init returns.",
                    **{name: None if arrays[name] is None else shape_of(arrays[name])},
                )
            )
    for name in ("moving_stddev", "renorm_mean", "renorm_stddev"):
        if (arrays[name] is not None) != (spec.renorm is not None):
            raise ValueError(
                message(
                    f"{name} must be {'None' if spec.renorm is None else 'an array'} with renorm={spec.renorm}",
                    "Take the state that init returns.",
                    **{name: None if arrays[name] is None else shape_of(arrays[name])},
                )
            )
    for name, array in arrays.items():
        if name != "x" and array is not None and not fits(shape_of(array), layout.parameter_shape):
            wanted = Layout.of(shape_of(arrays["x"]), layout.features).parameter_shape
            raise ValueError(
                message(
                    f"{name} must have shape {wanted}",
                    shape=shape_of(arrays["x"]),
                    axis=spec.axis,
                    **{name: shape_of(array)},
                )
            )


def require_state(spec: BatchNorm, state: State) -> None:
    """Require a count that is an integer, and averages of float32 or more, or of what the convention says."""
    if shape_of(state.num_batches) != () or dtype_name(state.num_batches.dtype) not in ("int32", "int64"):
        raise TypeError(
            message(
                "num_batches must be an integer array of shape ()",
                "Take the state that init returns.",
                shape=shape_of(state.num_batches),
                dtype=dtype_name(state.num_batches.dtype),
            )
        )
    if spec.convention.state_dtype == "input":
        return
    for name in ("moving_mean", "moving_variance", "moving_stddev", "renorm_mean", "renorm_stddev"):
        array = getattr(state, name)
        if array is not None and dtype_name(array.dtype) not in ("float32", "float64"):
            raise TypeError(
                message(
                    f"{name} must be float32 or float64",
                    "In half precision, updates with a small momentum round away.",
                    dtype=dtype_name(array.dtype),
                )
            )
