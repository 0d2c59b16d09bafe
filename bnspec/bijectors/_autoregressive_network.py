"""The masked network of autoregressive flows: what it returns for a unit depends on the units before it alone."""

from __future__ import annotations

from itertools import pairwise
from operator import index
from secrets import randbits
from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import accumulation_dtype, common_namespace, require_real_floating, shape_of, sizes_of
from bnspec.bijectors._degrees import as_hidden_degrees, as_order, degrees_of, masks_of
from bnspec.bijectors._dense import DenseLayers, affine, as_units, weights
from bnspec.bijectors._integers import as_integers
from bnspec.bijectors._shapes import as_ndims
from bnspec.errors import message, nearest
from bnspec.variables import Variable, from_numpy, require_common_dtype, require_concrete

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["AutoregressiveNetwork", "MaskedDense"]

CONDITIONED = ("all_layers", "first_layer")


class MaskedDense(NamedTuple):
    """The variables of one layer: ``x @ masked(kernel) + bias + conditional_input @ conditional_kernel``.

    Attributes
    ----------
    kernel : Variable, shape (I, O)
    bias : Variable, shape (O,), or None
    conditional_kernel : Variable, shape (C, O), or None
    """

    kernel: Variable
    bias: Variable | None
    conditional_kernel: Variable | None


class AutoregressiveNetwork(DenseLayers):
    """Compute P parameters for each of D units from the units before it in an order: MADE [1]_.

    Parameters
    ----------
    params : int
        P, for example 2 for a shift and the logarithm of a scale.
    event_shape : int or sequence of int, optional
        D, or (D,). By default, it is found at the first call.
    conditional : bool
        Whether a call takes a `conditional_input`; then `event_shape` and `conditional_event_shape` must be given.
    conditional_event_shape : int or sequence of int, optional
        C, or (C,), the size of a conditional input.
    conditional_input_layers : {"all_layers", "first_layer"}
        To which layers the conditional input is added, times a kernel of its own.
    hidden_units : sequence of int, optional
        The number of units of each hidden layer; none by default.
    input_order : {"left-to-right", "right-to-left", "random"} or sequence of int
        The order of the units, or for each of them its place in the order: a permutation of 1, ..., D.
    hidden_degrees : {"equal", "random", "blocks"}
        How many of the units before an output the hidden units may see: as many for each number, but for the remainder;
        at random; or in D blocks, the first of which sees none.
    activation : str, callable or None
        Of the hidden layers, as of :class:`DenseNetwork`; none by default.
    use_bias : bool
        Whether the layers add a bias.
    kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint
        As of :class:`DenseNetwork`.
    validate_args : bool
        Accepted for TFP's sake: what can be checked always is.
    name : str, optional
        By default, ``"autoregressive_network"``.
    seed : int, optional
        In [0, 2^64), for the initializers and for what is random of the degrees. By default, each initializer has its
        own, and one is drawn for the degrees.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    The masks hold in every call, whatever the kernels are; masked entries begin as 0, and their gradient is 0.

    The variables are made by :meth:`build`, or at the first call. To set them, ``set_weights`` takes kernel, bias and
    conditional kernel of the first layer, then of the next.

    References
    ----------
    .. [1] M. Germain, K. Gregor, I. Murray, H. Larochelle, MADE: Masked autoencoder for distribution estimation,
       arXiv:1502.03509.
    """

    def __init__(
        self,
        params: int,
        event_shape: int | Sequence[int] | None = None,
        conditional: bool = False,
        conditional_event_shape: int | Sequence[int] | None = None,
        conditional_input_layers: str = "all_layers",
        hidden_units: Sequence[int] | None = None,
        input_order: str | Sequence[int] = "left-to-right",
        hidden_degrees: str = "equal",
        activation: str | Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        validate_args: bool = False,
        name: str | None = None,
        *,
        seed: int | None = None,
    ) -> None:
        for key, value in (("conditional", conditional), ("validate_args", validate_args)):
            if not isinstance(value, bool):
                raise TypeError(message(f"{key} must be a bool", **{key: value}))
        super().__init__(
            "autoregressive_network" if name is None else name,
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
        self._params = as_ndims("params", params, 1)
        self._event_size = _as_size("event_shape", event_shape)
        self._conditional_size = _as_size("conditional_event_shape", conditional_event_shape)
        _require_conditional(conditional, self._event_size, self._conditional_size, conditional_input_layers)
        self._first_only = conditional_input_layers == "first_layer"
        self.hidden_units = as_units("hidden_units", () if hidden_units is None else hidden_units)
        self._order = as_order(input_order, self._event_size)
        self._hidden_degrees = as_hidden_degrees(hidden_degrees)
        self._degrees_seed = randbits(32) if seed is None else index(seed)
        self._input_order: tuple[int, ...] | None = None
        self._masks: tuple[Any, ...] = ()

    @property
    def params(self) -> int:
        """P, the number of parameters for each unit."""
        return self._params

    @property
    def event_shape(self) -> tuple[int] | None:
        """(D,); None where it is not known yet."""
        return None if self._event_size is None else (self._event_size,)

    @property
    def input_order(self) -> tuple[int, ...] | None:
        """The place of each unit in the order, from 1; None before the variables are made."""
        return self._input_order

    @property
    def condition_names(self) -> frozenset[str]:
        """What a call takes besides the units: the conditional input, if any."""
        return frozenset() if self._conditional_size is None else frozenset({"conditional_input"})

    def build(self, event_size: int, *, like: Any) -> None:
        """Make the variables.

        Parameters
        ----------
        event_size : int
            D.
        like : array
            Gives the library, the device and the dtype, float32 for half precision.

        Raises
        ------
        TypeError
            If the number is no integer, or `like` no real floating array with values.
        ValueError
            If it is not that of `event_shape` or `input_order`, the hidden layers are too narrow for it, or there are
            variables already.
        """
        size = as_ndims("event_size", event_size, 1)
        if self._layers:
            raise ValueError(message(f"{self.name} must be built once", "Make another.", layers=len(self._layers)))
        self._require_size(size)
        as_order(self._order, size)
        require_real_floating(like=like)
        require_concrete("kernel", like)
        degrees = degrees_of(size, self.hidden_units, self._order, self._hidden_degrees, self._degrees_seed)
        # Of the library once and for all: in a compiler they are constants.
        masks = tuple(from_numpy(mask, like) for mask in masks_of(degrees, self._params))
        sizes = pairwise((size, *self.hidden_units, size * self._params))
        layers = tuple(self._layer(number, shape, masks[number], like) for number, shape in enumerate(sizes))
        self._event_size, self._input_order = size, tuple(int(degree) for degree in degrees[0])
        self._masks, self._layers = masks, layers

    def __call__(self, x: Any, conditional_input: Any = None) -> Any:
        """Compute the parameters.

        Parameters
        ----------
        x : array, shape (*B, D), real floating
            The units.
        conditional_input : array, shape (*B', C), of x's dtype
            For a conditional network; B and B' are broadcast.

        Returns
        -------
        array, shape (*broadcast(B, B'), D, P), of x's dtype

        Raises
        ------
        TypeError
            If `x` is no real floating array, or of another library or dtype than the variables or the conditional
            input; or if there are no variables yet, and a compiler traces the call.
        ValueError
            If a shape does not fit, or the conditional input is missing, or there must be none.
        """
        require_real_floating(x=x)
        self._require_conditional_input(conditional_input, x)
        self._fit(x)
        xp = common_namespace(x=x)
        wide = accumulation_dtype(xp, x)
        out = xp.astype(x, wide)
        condition = None if conditional_input is None else xp.astype(conditional_input, wide)
        for number, (layer, mask) in enumerate(zip(self._layers, self._masks, strict=True)):
            kernel = weights(layer.kernel, out)
            out = self._activation(out) if number else out
            # A selection, and no product: an entry that is not finite would be seen through a 0.
            out = affine(out, xp.where(mask, kernel, xp.zeros_like(kernel)), layer.bias, xp)
            if layer.conditional_kernel is not None:
                out = out + affine(condition, weights(layer.conditional_kernel, out), None, xp)
        out = xp.astype(out, x.dtype)
        return xp.reshape(out, (*sizes_of(out)[:-1], self._event_size, self._params))

    def _fit(self, x: Any) -> None:
        """Make the variables, or refuse another size than theirs."""
        shape = shape_of(x)
        size = shape[-1] if shape else None
        if not shape or (size is None and not self._layers):
            raise ValueError(message(f"{self.name} must know the number of units", "Build it before.", shape=shape))
        if not self._layers:
            self.build(size or 0, like=x)
        elif size is not None:
            self._require_size(size)

    def _require_size(self, size: int) -> None:
        if self._event_size not in (None, size):
            raise ValueError(
                message(
                    f"{self.name} is made for events of {self._event_size} units",
                    "Make another network for another size of the event.",
                    event_size=size,
                )
            )

    def _require_conditional_input(self, given: Any, x: Any) -> None:
        if (given is None) != (self._conditional_size is None):
            raise ValueError(
                message(
                    f"{self.name} must be given a conditional_input if it is conditional, and none if not",
                    "Pass it by its name.",
                    conditional=self._conditional_size is not None,
                    conditional_input=None if given is None else shape_of(given),
                )
            )
        if given is None:
            return
        common_namespace(x=x, conditional_input=given)
        require_common_dtype(x=x, conditional_input=given)
        shape = shape_of(given)
        if not shape or shape[-1] not in (None, self._conditional_size):
            raise ValueError(
                message(
                    f"the last axis of conditional_input must have the size {self._conditional_size}",
                    conditional_input=shape,
                )
            )

    def _layer(self, number: int, shape: tuple[int, int], mask: Any, like: Any) -> MaskedDense:
        name, count = f"dense_{number}", len(self.hidden_units) + 1
        conditional = None
        if self._conditional_size is not None and (number == 0 or not self._first_only):
            size = (self._conditional_size, shape[1])
            conditional = self._kernel(f"{name}/conditional_kernel", 2 * count + number, size, like)
        return MaskedDense(
            self._kernel(f"{name}/kernel", 2 * number, shape, like, mask),
            self._bias(f"{name}/bias", 2 * number + 1, shape[1], like),
            conditional,
        )


def _as_size(name: str, given: Any) -> int | None:
    """Take the shape of a vector."""
    if given is None:
        return None
    sizes = as_integers(name, given) if hasattr(given, "__iter__") else (as_ndims(name, given, 1),)
    if len(sizes) != 1:
        raise ValueError(message(f"{name} must have one axis", "Reshape to vectors before.", **{name: sizes}))
    return as_ndims(name, sizes[0], 1)


def _require_conditional(conditional: bool, size: int | None, conditional_size: int | None, layers: Any) -> None:
    """Refuse arguments that contradict each other."""
    if layers not in CONDITIONED:
        raise ValueError(
            message(
                "conditional_input_layers must name layers",
                nearest(str(layers), CONDITIONED),
                conditional_input_layers=layers,
            )
        )
    if conditional and (size is None or conditional_size is None):
        raise ValueError(
            message(
                "event_shape and conditional_event_shape must be given for a conditional network",
                event_shape=size,
                conditional_event_shape=conditional_size,
            )
        )
    if not conditional and conditional_size is not None:
        raise ValueError(
            message(
                "conditional_event_shape must be given to a conditional network alone",
                "Set conditional=True.",
                conditional_event_shape=conditional_size,
            )
        )
