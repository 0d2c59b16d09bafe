"""Dense layers whose variables everybody sees: what the networks of couplings and autoregressive flows are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import accumulation_dtype, common_namespace, device_of, random_key, shape_of
from bnspec.bijectors._activations import as_activation
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.layers._constraints import CONSTRAINTS
from bnspec.layers._initializers import INITIALIZERS, reseeded
from bnspec.layers._regularizers import REGULARIZERS
from bnspec.variables import Module, Variable, copied, require_name, resolved, taken

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DenseLayers", "affine", "as_units", "weights"]


class DenseLayers(Module):
    """The variables of dense layers, and the arguments that say how these begin.

    Parameters
    ----------
    name : str
        Of the network.
    activation : str, callable or None
        Of the hidden layers.
    use_bias : bool
        Whether the layers add a bias.
    kernel_initializer, bias_initializer : str, mapping or callable
        As of :class:`bnspec.layers.BatchNormalization`. Each variable draws from a fold of its own of the seed.
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint : str, mapping, callable or None
        As of the same.
    seed : int, optional
        In [0, 2^64), for all initializers; by default, each has its own.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """

    def __init__(
        self,
        name: str,
        activation: str | Callable[[Any], Any] | None,
        use_bias: bool,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        seed: int | None,
    ) -> None:
        if not isinstance(use_bias, bool):
            raise TypeError(message("use_bias must be a bool", use_bias=use_bias))
        require_name(name)
        if seed is not None:
            random_key(seed, xp=np)  # refuses what is no seed
        self.name = name
        self._use_bias = use_bias
        self._seed = seed
        self._activation = as_activation(activation)
        self._kernel_initializer = INITIALIZERS.get("kernel_initializer", kernel_initializer)
        self._bias_initializer = INITIALIZERS.get("bias_initializer", bias_initializer)
        self._kernel_regularizer = _optional(REGULARIZERS, "kernel_regularizer", kernel_regularizer)
        self._bias_regularizer = _optional(REGULARIZERS, "bias_regularizer", bias_regularizer)
        self._kernel_constraint = _optional(CONSTRAINTS, "kernel_constraint", kernel_constraint)
        self._bias_constraint = _optional(CONSTRAINTS, "bias_constraint", bias_constraint)
        self._layers: tuple[Any, ...] = ()

    @property
    def layers(self) -> tuple[Any, ...]:
        """The variables layer by layer; empty before they are made."""
        return self._layers

    @property
    def built(self) -> bool:
        """Whether there are all variables."""
        return bool(self._layers) and super().built

    def _kernel(self, name: str, number: int, shape: tuple[int, int], like: Any, mask: Any = None) -> Variable:
        return self._variable("kernel", name, number, shape, like, mask)

    def _bias(self, name: str, number: int, size: int, like: Any) -> Variable | None:
        return self._variable("bias", name, number, (size,), like) if self._use_bias else None

    def _variable(
        self, kind: str, name: str, number: int, shape: tuple[int, ...], like: Any, mask: Any = None
    ) -> Variable:
        """Make a variable whose numbers come from a fold of the seed; 0 where a mask is false."""
        xp = common_namespace(like=like)
        pattern = xp.zeros(shape, dtype=accumulation_dtype(xp, like), device=device_of(like))
        initializer = reseeded(getattr(self, f"_{kind}_initializer"), number, self._seed)
        drawn = taken(name, initializer(shape, like=pattern), pattern)
        return Variable(
            name,
            copied(drawn if mask is None else xp.where(mask, drawn, pattern)),
            trainable=True,
            regularizer=getattr(self, f"_{kind}_regularizer"),
            constraint=getattr(self, f"_{kind}_constraint"),
        )


def as_units(name: str, given: Any) -> tuple[int, ...]:
    """Take the numbers of units of the hidden layers.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : sequence of int
        What came.

    Returns
    -------
    tuple of int

    Raises
    ------
    TypeError, ValueError
        If it is no list of integers, or one is below 1.
    """
    if isinstance(given, str) or not hasattr(given, "__iter__"):
        raise TypeError(message(f"{name} must be a list of integers", **{name: given}))
    return tuple(as_ndims(name, units, 1) for units in given)


def weights(variable: Variable, like: Any) -> Any:
    """Return the value of a variable, to be computed with what is of its library and precision."""
    return resolved(variable.name, variable, like=like)


def affine(x: Any, kernel: Any, bias: Variable | None, xp: Any) -> Any:
    """Compute ``x @ kernel + bias``.

    Parameters
    ----------
    x : array, shape (*B, I)
        The input.
    kernel : array, shape (I, O)
        The matrix.
    bias : Variable, shape (O,), or None
        What is added.
    xp : namespace
        Of `x`.

    Returns
    -------
    array, shape (*B, O)
    """
    # TensorFlow fuses a product with the sum that follows, and on CPUs oneDNN ends the process at an empty one.
    empty = shape_of(kernel)[0] == 0
    out = xp.sum(xp.expand_dims(x, axis=-1) * kernel, axis=-2) if empty else xp.matmul(x, kernel)
    return out if bias is None else out + weights(bias, out)


def _optional(table: Any, argument: str, given: Any) -> Any:
    return None if given is None else table.get(argument, given)
