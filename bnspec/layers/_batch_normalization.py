"""BatchNormalization: the layer."""

from __future__ import annotations

from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any

from bnspec.arrays import (
    as_axes,
    common_namespace,
    dtype_name,
    require_real_floating,
    resolve_axes,
    shape_of,
    sizes_of,
)
from bnspec.batchnorm import BatchNorm, Params, State
from bnspec.batchnorm._definition import DEFAULT
from bnspec.conventions import TF_LAYERS, Convention
from bnspec.errors import message
from bnspec.layers._configuration import require_name
from bnspec.layers._creation import create
from bnspec.layers._masks import require_frequencies, weights_of
from bnspec.layers._saving import Saved
from bnspec.layers._settings import Settings
from bnspec.layers._updates import Update, as_list
from bnspec.variables import Variable, current, require_concrete

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["BatchNormalization"]


def _variable(name: str, doc: str) -> property:
    """Return a property that is a variable, or None."""
    return property(lambda layer: layer._variables.get(name), doc=doc)  # noqa: SLF001 - it is its class


class BatchNormalization(Saved):
    """Batch normalization as a layer that owns its parameters and running averages.

    Parameters
    ----------
    axis : int or sequence of int
        The feature axis or axes. The default is the convention's, -1.
    momentum : float or None
        Of the running averages; what it multiplies is the convention's. The default is the convention's, 0.99 of the
        old average.
    epsilon : float
        Added to the variance. The default is the convention's, 0.001.
    center, scale : bool
        Whether there is a beta, and a gamma.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer : str, dict or callable
        What variables begin with: a name such as ``"zeros"``, an object of this package or its configuration, or a
        function called as ``f(shape, like=array)``. The default of the moving variance is the convention's, ones.
    beta_regularizer, gamma_regularizer : str, dict or callable, optional
        Functions of a parameter that return a penalty of shape (); see :attr:`losses`.
    beta_constraint, gamma_constraint : str, dict or callable, optional
        Functions of a parameter that return the one that is allowed; see :meth:`apply_constraints`.
    renorm : bool
        Whether a training batch is corrected towards running averages of its own.
    renorm_clipping : dict, optional
        Limits under the keys rmax, rmin and dmax. What is missing is inf, 0 and inf.
    renorm_momentum : float
        Of the averages of the correction; what it multiplies is the convention's. The default gives the new batch a
        hundredth.
    fused : bool, optional
        None and True take a faster kernel where the library of the input has one. None has one so far: all three run
        the definition. True is refused with renorm, virtual_batch_size, adjustment and several axes.
    trainable : bool
        Whether an optimizer is to change gamma and beta. What False does beyond that is the convention's.
    virtual_batch_size : int, optional
        The size of the groups that are normalized each by itself in training. It must divide the size of axis 0.
    adjustment : callable, optional
        A function of the input's shape that returns a pair (scale, bias), applied to the normalized values before
        gamma and beta in training. Sizes that are not known before the call runs are arrays of shape ().
    name : str, optional
        The name of the layer, ``"batch_normalization"`` by default. Nothing keeps names apart.
    dtype : str or dtype, optional
        Of what the dtype of the variables follows from: float64 if it is that, else float32, unless the convention
        keeps half precision. By default, of the first input. Inputs are never converted.
    convention : Convention or str
        Every way in which libraries differ; see :mod:`bnspec.conventions`.
    defer_updates : bool
        False changes the running averages in every training call. True leaves that to :attr:`updates`, as tf.layers
        does.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    A call computes what :meth:`bnspec.BatchNorm.apply` of :attr:`spec` computes, to the bit, on arrays of any backend.
    A call that raises changes nothing.

    Inside a compiler or a transformation (``jax.jit``, ``tf.function``, ``torch.func``), variables cannot be changed: a
    training call there is refused, and :meth:`stateless_call` is the way. ``torch.compile`` traces the change too: what
    it compiles changes a built layer as an eager call does.

    References
    ----------
    .. [1] S. Ioffe and C. Szegedy, Batch Normalization, arXiv:1502.03167.
    .. [2] S. Ioffe, Batch Renormalization, arXiv:1702.03275.

    Examples
    --------
    >>> import numpy as np
    >>> from bnspec.layers import BatchNormalization
    >>> layer = BatchNormalization(momentum=0.9)
    >>> y = layer(np.asarray([[1.0, 10.0], [3.0, 30.0]]), training=True)
    >>> layer.moving_mean.value
    array([0.2, 2. ])
    """

    def __init__(
        self,
        axis: int | Sequence[int] = DEFAULT,
        momentum: float | None = DEFAULT,
        epsilon: float = DEFAULT,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = DEFAULT,
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, Any] | None = None,
        renorm_momentum: float = DEFAULT,
        fused: bool | None = None,
        trainable: bool = True,
        virtual_batch_size: int | None = None,
        adjustment: Callable[[Any], tuple[Any, Any]] | None = None,
        name: str | None = None,
        dtype: Any = None,
        *,
        convention: Convention | str | Mapping[str, Any] = TF_LAYERS,
        defer_updates: bool = False,
    ) -> None:
        arguments = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        self._settings = Settings(arguments)
        super().__init__("batch_normalization" if name is None else name, trainable)
        self._axes = as_axes("axis", self.spec.axis)
        self._dtype = self._settings.dtype

    @property
    def spec(self) -> BatchNorm:
        """The pure definition that the layer runs, with axis, momentum, epsilon, center, scale and convention."""
        return self._settings.spec

    @property
    def dtype(self) -> str | None:
        """The dtype that was asked for, or else that of the first input; None before there is one."""
        return self._dtype

    @property
    def output_shape(self) -> tuple[int | None, ...] | None:
        """The same as :attr:`input_shape`."""
        return self._input_shape

    gamma = _variable("gamma", "The scale; None where there is none, and before the layer is built. So are the others.")
    beta = _variable("beta", "The offset.")
    moving_mean = _variable("moving_mean", "The running average of the mean.")
    moving_variance = _variable("moving_variance", "That of the variance; with renorm, it follows from moving_stddev.")
    moving_stddev = _variable("moving_stddev", "With renorm, the running average of the standard deviation.")
    renorm_mean = _variable("renorm_mean", "The average of the mean that corrects a batch.")
    renorm_stddev = _variable("renorm_stddev", "The average of the standard deviation that corrects a batch.")
    num_batches = _variable("num_batches", "How many training batches have been counted.")

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return the shape of the output: that of the input.

        Parameters
        ----------
        input_shape : sequence of int or None
            None stands for a size that is not known.

        Returns
        -------
        tuple of int or None

        Raises
        ------
        ValueError
            If it has not the feature axes.
        """
        shape = tuple(input_shape)
        resolve_axes("axis", self._axes, shape)
        return shape

    def build(self, input_shape: Sequence[int | None], like: Any) -> None:
        """Make the variables; the first call does it where nobody has.

        Parameters
        ----------
        input_shape : sequence of int or None
            The shape of the input. Sizes other than those of the feature axes may be unknown: None.
        like : array
            Gives the library and the device, and the dtype where the layer was made without one.

        Raises
        ------
        TypeError
            If `like` is no array, is traced by a compiler, or gives a dtype that is not real floating.
        ValueError
            If the layer is built already; if the shape has not the feature axes, or one of them is unknown.
        """
        if self.built:
            raise ValueError(
                message(
                    f"{self.name} must be built once",
                    "Make another layer, with from_config(layer.get_config()).",
                    built_for=self._input_shape,
                    input_shape=tuple(input_shape),
                )
            )
        self._adopt(create(self._settings, self._dtype, input_shape, like), input_shape, like)

    def __call__(
        self, inputs: Any, training: Any = False, weights: Any = None, mask: Any = None, name: str | None = None
    ) -> Any:
        """Normalize.

        Parameters
        ----------
        inputs : array, shape S, real floating
            The input.
        training : bool, or boolean array of shape ()
            True normalizes by the batch, and enters its statistics into the running averages; False normalizes by
            these. An array decides when the call runs.
        weights : array, real floating, optional
            Frequency weights, as of :meth:`bnspec.BatchNorm.apply`.
        mask : array, boolean, optional
            In the place of weights: which elements are there. It has x's rank and broadcasts to S, or has one axis
            less: S without the feature axis.
        name : str, optional
            What the update of a deferred call is called.

        Returns
        -------
        array, shape S
            The output.

        Raises
        ------
        TypeError, ValueError
            If an argument is not as described. Then nothing has changed, and no variables have been made.
        """
        return self._called(self.spec.apply, inputs, training, weights, mask, name)

    def call_and_log_det(self, inputs: Any, training: Any = False) -> tuple[Any, Any]:
        """Normalize, with log |dy/dx| of each element by the statistics that normalize.

        Parameters
        ----------
        inputs, training
            As of a call. With an adjustment, its scale is in both results.

        Returns
        -------
        y : array, shape S
            As of a call; running averages move as in a call.
        log_det : array, broadcastable to S
            As of :meth:`bnspec.BatchNorm.apply_and_log_det`.

        Raises
        ------
        TypeError, ValueError
            As of a call; and with renorm or virtual batches.
        """

        def apply(params: Params, state: State, x: Any, **options: Any) -> tuple[tuple[Any, Any], State]:
            y, log_det, after = self.spec.apply_and_log_det(params, state, x, **options)
            return (y, log_det), after

        pair: tuple[Any, Any] = self._called(apply, inputs, training, None, None, None)
        return pair

    def invert_and_log_det(self, outputs: Any) -> tuple[Any, Any]:
        """Find the input that evaluation maps to an output, with log |dx/dy| of each element.

        Parameters
        ----------
        outputs : array, shape S, real floating
            What a call with ``training=False`` would return. It builds the layer where nobody has.

        Returns
        -------
        x : array, shape S
        log_det : array, broadcastable to S
            As of :meth:`bnspec.BatchNorm.invert_and_log_det`.

        Raises
        ------
        TypeError, ValueError
            As of a call.
        """
        common_namespace(x=outputs)
        require_real_floating(x=outputs)
        if not self.built:
            self.build(shape_of(outputs), like=outputs)
        values = {key: variable.value for key, variable in self._variables.items()}
        return self.spec.invert_and_log_det(*_split(values), outputs)

    def _called(
        self, apply: Callable[..., tuple[Any, State]], inputs: Any, training: Any, weights: Any, mask: Any, name: Any
    ) -> Any:
        """Run the definition, and keep the averages that it returns."""
        require_name(name)
        common_namespace(x=inputs)
        require_real_floating(x=inputs)
        variables = self._variables or create(self._settings, self._dtype, shape_of(inputs), inputs)
        values = {key: variable.value for key, variable in variables.items()}
        call = self._bound(apply, inputs, training, weights, mask)
        require_frequencies(weights, inputs, call.keywords["training"])
        y, after = call(*_split(values))
        changed = _changed(values, after)
        stateless = current() is not None
        if not stateless:
            for key, value in changed.items():
                require_concrete(key, value)
        if not self.built:
            self._adopt(variables, shape_of(inputs), inputs)
        deferred = self._settings.arguments["defer_updates"] and not stateless
        if deferred and call.keywords["training"] is not False:
            self._defer(call, values, changed, (inputs, *as_list(weights), *as_list(mask)), name)
        else:
            self._assign(changed)
        return y

    def get_config(self) -> dict[str, Any]:
        """Return arguments that make the same layer, without the values of its variables.

        Returns
        -------
        dict
            What JSON can hold.

        Raises
        ------
        ValueError
            If there is an adjustment, or an initializer, regularizer or constraint that is not of this package.
        """
        return {**self._settings.config(), "name": self.name, "trainable": self.trainable, "dtype": self.dtype}

    def _adopt(self, variables: dict[str, Variable], shape: Sequence[int | None], like: Any) -> None:
        self._variables = variables
        self._input_shape = tuple(None if size is None else index(size) for size in shape)
        if self._dtype is None:
            self._dtype = dtype_name(like.dtype)

    def _bound(
        self, apply: Callable[..., tuple[Any, State]], inputs: Any, training: Any, weights: Any, mask: Any
    ) -> partial[tuple[Any, State]]:
        """Return the definition's function of parameters and state for one batch."""
        if mask is not None:
            if weights is not None:
                raise ValueError(message("weights and mask must not be given together", "Multiply them."))
            weights = weights_of(mask, inputs, self._axes)
        freeze = "none" if self.trainable else self.spec.convention.freeze
        if freeze == "evaluation":
            training = False
        adjust = self._settings.arguments["adjustment"]
        adjustment = None if adjust is None or training is False else adjust(sizes_of(inputs))
        function = partial(_standing, apply) if freeze == "averages" else apply
        weighted = {} if weights is None else {"weights": weights}
        return partial(function, x=inputs, training=training, adjustment=adjustment, **weighted)

    def _defer(
        self,
        call: partial[tuple[Any, State]],
        values: dict[str, Any],
        changed: dict[str, Any],
        inputs: tuple[Any, ...],
        name: str | None,
    ) -> None:
        """Add an update that enters a batch into the averages that are there when it is run."""
        params, before = _split(values)

        def action() -> None:
            now = {key: variable.value for key, variable in self._variables.items()}
            _, state = _split(now)
            untouched = all(new is old for new, old in zip(state, before, strict=True))
            self._assign(changed if untouched else _changed(now, call(params, state)[1]))

        self._updates.add(Update(action, inputs, name), inputs)


def _standing(apply: Callable[..., tuple[Any, State]], params: Params, state: State, **call: Any) -> tuple[Any, State]:
    """Call the definition, and let the averages stand still."""
    return apply(params, state, **call)[0], state


def _split(values: dict[str, Any]) -> tuple[Params, State]:
    """Take apart the values of variables."""
    params = Params(**{name: values.get(name) for name in Params._fields})
    return params, State(**{name: values.get(name) for name in State._fields})


def _changed(values: dict[str, Any], after: State) -> dict[str, Any]:
    """Return what a call has replaced."""
    return {key: value for key, value in after._asdict().items() if key in values and value is not values[key]}
