"""How the variables of batch normalization begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import ACCUMULATES_IN, as_axes, common_namespace, device_of, resolve_axes, shape_of
from bnspec.batchnorm import Params
from bnspec.errors import message
from bnspec.variables import Variable, copied, taken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.layers._settings import Settings

__all__ = ["create"]

# The order of Keras; the count, which Keras has not, is the last. Each with the initializer of which it follows.
VARIABLES = {
    "gamma": "gamma_initializer",
    "beta": "beta_initializer",
    "moving_mean": "moving_mean_initializer",
    "moving_variance": "moving_variance_initializer",
    "moving_stddev": "moving_variance_initializer",
    "renorm_mean": "moving_mean_initializer",
    "renorm_stddev": "moving_variance_initializer",
    "num_batches": "",
}


def create(settings: Settings, dtype: str | None, shape: Sequence[int | None], like: Any) -> dict[str, Variable]:
    """Make the variables of a layer.

    Parameters
    ----------
    settings : Settings
        The layer's arguments.
    dtype : str or None
        Of what the dtype of the variables follows from; None for that of `like`.
    shape : sequence of int or None
        The shape of the input.
    like : array
        Gives the library and the device.

    Returns
    -------
    dict of Variable
        By name, in their order. The definition decides which there are, and their shapes and dtypes.

    Raises
    ------
    TypeError, ValueError
        As of :meth:`bnspec.layers.BatchNormalization.build`.
    """
    xp, spec, sizes = common_namespace(like=like), settings.spec, tuple(shape)
    for axis in resolve_axes("axis", as_axes("axis", spec.axis), sizes):
        if sizes[axis] is None:
            raise ValueError(message("the sizes of the feature axes must be known", input_shape=sizes, axis=spec.axis))
    if dtype is not None:
        like = _pattern(settings, dtype, like, xp)
    params, state = spec.init([1 if size is None else size for size in sizes], like=like)
    patterns, objects = {**params._asdict(), **state._asdict()}, settings.objects
    variables = {}
    for name, initializer in VARIABLES.items():
        value = patterns[name]
        if value is None:
            continue
        if initializer:
            value = copied(taken(name, objects[initializer](shape_of(value), like=value), value))
        variables[name] = Variable(
            name,
            xp.sqrt(value) if name.endswith("_stddev") else value,
            trainable=name in Params._fields,
            regularizer=objects.get(f"{name}_regularizer"),
            constraint=objects.get(f"{name}_constraint"),
        )
    return variables


def _pattern(settings: Settings, dtype: str, like: Any, xp: Any) -> Any:
    """Return an array of which the definition makes variables of a dtype."""
    name = dtype if settings.spec.convention.state_dtype == "input" else ACCUMULATES_IN[dtype]
    kind = getattr(xp, name, None)
    if kind is None:
        raise TypeError(message(f"dtype must be one of {xp.__name__}", dtype=name))
    return xp.zeros((), dtype=kind, device=device_of(like))
