"""The network that Real NVP has by default: dense layers whose variables everybody sees."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import accumulation_dtype, common_namespace, require_real_floating, shape_of
from bnspec.bijectors._dense import DenseLayers, affine, as_units, weights
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message
from bnspec.variables import Variable, require_concrete

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Dense", "DenseNetwork", "real_nvp_default_template"]


class Dense(NamedTuple):
    """The variables of one layer: ``x @ kernel + bias``.

    Attributes
    ----------
    kernel : Variable, shape (I, O)
    bias : Variable, shape (O,), or None
    """

    kernel: Variable
    bias: Variable | None


class DenseNetwork(DenseLayers):
    """Compute a shift and the logarithm of a scale by dense layers.

    Parameters
    ----------
    hidden_layers : sequence of int
        The number of units of each hidden layer; empty for none.
    shift_only : bool
        Whether there is no scale: NICE.
    activation : str, callable or None
        Of the hidden layers: ``"relu"``, ``"tanh"``, ``"sigmoid"``, ``"softplus"``, ``"elu"``, a function of an array,
        or None for none. The last layer has none.
    name : str, optional
        By default, ``"real_nvp_default_template"``.
    use_bias : bool
        Whether the layers add a bias.
    kernel_initializer, bias_initializer : str, mapping or callable
        As of :class:`bnspec.layers.BatchNormalization`. Each variable draws from a fold of its own of the seed.
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint : str, mapping, callable or None
        As of the same.
    seed : int, optional
        In [0, 2^64), for both initializers; by default, each has its own.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    The variables are made by :meth:`build`, or at the first call. To set them, ``set_weights`` takes kernel and bias of
    the first layer, then of the next.

    References
    ----------
    .. [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density estimation using Real NVP, arXiv:1605.08803.
    """

    def __init__(
        self,
        hidden_layers: Sequence[int],
        shift_only: bool = False,
        activation: str | Callable[[Any], Any] | None = "relu",
        name: str | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        *,  # tf.layers.dense goes on with an activity_regularizer, which there is not
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        seed: int | None = None,
    ) -> None:
        if not isinstance(shift_only, bool):
            raise TypeError(message("shift_only must be a bool", shift_only=shift_only))
        super().__init__(
            "real_nvp_default_template" if name is None else name,
            activation,
            use_bias,
            kernel_initializer,
            bias_initializer,
            kernel_regularizer,
            bias_regularizer,
            kernel_constraint,
            bias_constraint,
            seed,
        )
        self.hidden_layers = as_units("hidden_layers", hidden_layers)
        self.shift_only = shift_only
        self._outputs = 1 if shift_only else 2

    def build(self, input_units: int, output_units: int, *, like: Any) -> None:
        """Make the variables.

        Parameters
        ----------
        input_units : int
            The size of the last axis of the input.
        output_units : int
            The size of the last axis of the shift.
        like : array
            Gives the library, the device and the dtype, float32 for half precision.

        Raises
        ------
        TypeError
            If a number is no integer, or `like` no real floating array with values.
        ValueError
            If a number is negative, or there are variables already.
        """
        first, last = as_ndims("input_units", input_units, 0), as_ndims("output_units", output_units, 1)
        if self._layers:
            raise ValueError(message(f"{self.name} must be built once", "Make another.", layers=len(self._layers)))
        require_real_floating(like=like)
        require_concrete("kernel", like)
        sizes = (first, *self.hidden_layers, self._outputs * last)
        self._layers = tuple(
            self._layer(number, before, after, like) for number, (before, after) in enumerate(pairwise(sizes))
        )

    def __call__(self, x: Any, output_units: int) -> tuple[Any, Any]:
        """Compute the shift and the logarithm of the scale.

        Parameters
        ----------
        x : array, shape (*B, I), real floating
            The units that are not transformed. I may be 0.
        output_units : int
            D, the number of units that are.

        Returns
        -------
        shift : array, shape (*B, D), of x's dtype
        log_scale : array, shape (*B, D), of x's dtype, or None
            None with `shift_only`.

        Raises
        ------
        TypeError
            If `x` is no real floating array, or of another library or dtype than the variables; or if there are no
            variables yet, and a compiler traces the call.
        ValueError
            If it has no axis, or the variables are for another number of units.
        """
        require_real_floating(x=x)
        shape = shape_of(x)
        if not shape:
            raise ValueError(message("x must have an axis of units", shape=shape))
        self._fit(shape, output_units, x)
        xp = common_namespace(x=x)
        out = xp.astype(x, accumulation_dtype(xp, x))
        *hidden, last = self._layers
        for layer in hidden:
            out = self._activation(affine(out, weights(layer.kernel, out), layer.bias, xp))
        out = xp.astype(affine(out, weights(last.kernel, out), last.bias, xp), x.dtype)
        if self.shift_only:
            return out, None
        return out[..., :output_units], out[..., output_units:]

    def _fit(self, shape: tuple[int | None, ...], output_units: int, like: Any) -> None:
        """Make the variables, or refuse other sizes than theirs."""
        input_units = shape[-1]
        if not self._layers:
            if input_units is None:
                raise ValueError(message(f"{self.name} must know the number of units", "Build it before.", shape=shape))
            self.build(input_units, output_units, like=like)
        made = self._layers[0].kernel.shape[0], (self._layers[-1].kernel.shape[1] or 0) // self._outputs
        if input_units not in (None, made[0]) or as_ndims("output_units", output_units, 1) != made[1]:
            raise ValueError(
                message(
                    f"{self.name} is made for {made[0]} units of input and {made[1]} of output",
                    "Make another network for another size of the event.",
                    input_units=input_units,
                    output_units=output_units,
                )
            )

    def _layer(self, number: int, before: int, after: int, like: Any) -> Dense:
        kernel = self._kernel(f"dense_{number}/kernel", 2 * number, (before, after), like)
        return Dense(kernel, self._bias(f"dense_{number}/bias", 2 * number + 1, after, like))


def real_nvp_default_template(
    hidden_layers: Sequence[int],
    shift_only: bool = False,
    activation: str | Callable[[Any], Any] | None = "relu",
    name: str | None = None,
    *args: Any,
    **kwargs: Any,
) -> DenseNetwork:
    """Make a network for the argument `shift_and_log_scale_fn` of :class:`bnspec.bijectors.RealNVP`.

    Parameters
    ----------
    hidden_layers : sequence of int
        The number of units of each hidden layer; empty for none.
    shift_only : bool
        Whether there is no scale: NICE.
    activation : str, callable or None
        Of the hidden layers.
    name : str, optional
        By default, ``"real_nvp_default_template"``.
    *args, **kwargs
        What the layers take, as ``tf.layers.dense`` does; see :class:`DenseNetwork`.

    Returns
    -------
    DenseNetwork
        Called as ``fn(x, output_units)``, it returns ``(shift, log_scale)``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    return DenseNetwork(hidden_layers, shift_only, activation, name, *args, **kwargs)
