"""BatchNorm: the definition. A frozen configuration, explicit parameters and state, pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, cast

from bnspec.arrays import (
    accumulation_dtype,
    as_axes,
    as_shape,
    common_namespace,
    detached,
    device_of,
    dtype_name,
    fits,
    is_known,
    require_real_floating,
    shape_of,
    sizes_of,
)
from bnspec.batchnorm._averages import cumulative_average, exponential_average
from bnspec.batchnorm._layout import Layout
from bnspec.batchnorm._moments import Moments, require_weights
from bnspec.batchnorm._normalize import inverse_deviation, normalize, require_epsilon
from bnspec.batchnorm._pullback import Gradients, evaluation_pullback, training_pullback
from bnspec.batchnorm._values import Params, State, take
from bnspec.batchnorm._weighting import Weighting
from bnspec.conventions import KERAS, Convention
from bnspec.errors import message

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["BatchNorm"]


class Default(Enum):
    """Stand for "what the convention says", because None is a momentum."""

    DEFAULT = "default"

    def __repr__(self) -> str:
        return self.name


DEFAULT: Literal[Default.DEFAULT] = Default.DEFAULT


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalization over all axes but the feature axes.

    Parameters
    ----------
    axis : int or sequence of int
        The feature axis or axes. The default is the convention's.
    momentum : float or None
        In [0, 1]; what it multiplies is the convention's. None averages all batches equally. The default
        is the convention's.
    epsilon : float
        Finite and not negative, added to the variance inside the square root. The default is the
        convention's.
    center, scale : bool
        Whether there is a beta, and a gamma.
    convention : Convention
        Every way in which libraries differ; see :mod:`bnspec.conventions`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    Defaults are resolved when the configuration is made: ``dataclasses.replace`` with another convention keeps the
    axis, momentum and epsilon of the first one.

    Examples
    --------
    >>> import numpy as np
    >>> import bnspec
    >>> spec = bnspec.BatchNorm(convention=bnspec.conventions.TORCH)
    >>> x = np.asarray([[1.0, 10.0], [3.0, 30.0]])
    >>> params, state = spec.init(x.shape, like=x)
    >>> y, state = spec.apply(params, state, x, training=True)
    >>> state.moving_variance
    array([ 1.1, 20.9])
    """

    axis: int | Sequence[int] | Literal[Default.DEFAULT] = DEFAULT
    momentum: float | Literal[Default.DEFAULT] | None = DEFAULT
    epsilon: float | Literal[Default.DEFAULT] = DEFAULT
    center: bool = True
    scale: bool = True
    convention: Convention = KERAS

    def __post_init__(self) -> None:
        if not isinstance(self.convention, Convention):
            raise TypeError(
                message(
                    "convention must be a bnspec.conventions.Convention",
                    "Take a named one, for example bnspec.conventions.TORCH.",
                    convention=self.convention,
                )
            )
        for name in ("center", "scale"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(message(f"{name} must be a bool", **{name: getattr(self, name)}))
        axis, momentum, epsilon = (
            getattr(self.convention if getattr(self, name) is DEFAULT else self, name)
            for name in ("axis", "momentum", "epsilon")
        )
        axes = as_axes("axis", axis)
        if not axes:
            raise ValueError(message("axis must name at least one axis", axis=axis))
        object.__setattr__(self, "axis", axes if len(axes) > 1 else axes[0])
        object.__setattr__(self, "momentum", _require_momentum(momentum))
        object.__setattr__(self, "epsilon", require_epsilon("epsilon", epsilon))

    def init(self, shape: Sequence[int], *, like: Any) -> tuple[Params, State]:
        """Create gamma = 1, beta = 0, moving_mean = 0, moving_variance = 1 and a count of 0.

        Parameters
        ----------
        shape : sequence of int
            The shape of the input; only the sizes of the feature axes matter.
        like : array, real floating
            Gives the array library, the device and the dtype: float64 if it is float64, else float32.

        Returns
        -------
        params : Params
        state : State

        Raises
        ------
        TypeError, ValueError
            If the shape has not the feature axes, or `like` is not real floating.
        """
        xp = common_namespace(like=like)
        require_real_floating(like=like)
        layout = Layout.of(as_shape(shape), cast("int | tuple[int, ...]", self.axis))
        dtype, device = accumulation_dtype(xp, like), device_of(like)

        def filled(make: Callable[..., Any], shape: tuple[int, ...], kind: Any) -> Any:
            # Each leaf is an array of its own: a framework may update one of them in place.
            return make(shape, dtype=kind, device=device)

        shape = layout.parameter_shape
        params = Params(
            filled(xp.ones, shape, dtype) if self.scale else None,
            filled(xp.zeros, shape, dtype) if self.center else None,
        )
        state = State(filled(xp.zeros, shape, dtype), filled(xp.ones, shape, dtype), filled(xp.zeros, (), xp.int32))
        return params, state

    def apply(self, params: Params, state: State, x: Any, *, training: bool, weights: Any = None) -> tuple[Any, State]:
        """Normalize.

        Parameters
        ----------
        params : Params
            Parameters of shape K.
        state : State
            Running statistics of shape K. It is never changed.
        x : array, shape S, real floating
            The input. S has the feature axes; N is the product of the other sizes.
        training : bool
            True normalizes by the batch's mean and population variance and updates the averages; False
            normalizes by the averages.
        weights : array, real floating, optional
            Non-negative frequency weights of x's rank, broadcastable to S. In training the statistics are those of
            each element repeated so many times: 0 deletes it, NaN included, and fractions count as fractions. In
            evaluation they change nothing.

        Returns
        -------
        y : array, shape S, of x's dtype
            The output. NaN and infinities in a channel make that channel NaN, in training with its averages.
        state : State
            The running statistics after; in evaluation, the same object.

        Raises
        ------
        TypeError
            If an array is not real floating or of another library, a running average is not float32 or
            float64, or `training` is not a bool.
        ValueError
            If a shape or device does not fit; if a training batch has one element per channel and the
            convention refuses that.

        Notes
        -----
        With N = 0, y is empty, and the averages stay as they are whatever the convention. With N = 1 in
        training, the variance is 0 and y is beta, or the convention raises. A channel whose weights are all 0 keeps
        its averages, and is normalized by mean and variance 0. Where variance and epsilon are both
        0, y is NaN. Sums are formed in float32 or float64: where the sum of a channel or of its squared deviations
        overflows that, the channel's statistics are not finite. No gradient passes the new state.

        Where N is not known before the call runs, as in a ``tf.function`` with unknown dimensions, no convention
        can refuse N = 1: all of them give beta.
        """
        y, state, _ = self.vjp(params, state, x, training=training, weights=weights)
        return y, state

    def vjp(
        self, params: Params, state: State, x: Any, *, training: bool, weights: Any = None
    ) -> tuple[Any, State, Callable[[Any], Gradients]]:
        """Normalize, and return the vector-Jacobian product of the output.

        Parameters
        ----------
        params, state, x, training, weights
            As of :meth:`apply`.

        Returns
        -------
        y : array, shape S
            As of :meth:`apply`.
        state : State
            As of :meth:`apply`.
        pullback : callable
            Maps a cotangent of y, an array of its shape and dtype, to :class:`Gradients`. In training the
            derivative runs through the batch's mean and variance; in evaluation the averages are given, and
            have gradients of their own. An element that is deleted and not finite has the gradient 0, and its
            weight the gradient NaN; its cotangent must be 0.

        Raises
        ------
        TypeError, ValueError
            As of :meth:`apply`; and from the pullback, if the cotangent does not fit y.

        References
        ----------
        .. [1] S. Ioffe and C. Szegedy, Batch Normalization, arXiv:1502.03167, section 3.
        """
        if not isinstance(training, bool):
            raise TypeError(message("training must be a bool", training=training))
        params, state = take(Params, params, "params"), take(State, state, "state")
        arrays = {
            "x": x,
            "gamma": params.gamma,
            "beta": params.beta,
            "moving_mean": state.moving_mean,
            "moving_variance": state.moving_variance,
        }
        xp = common_namespace(**arrays, num_batches=state.num_batches, weights=weights)
        require_real_floating(**arrays, weights=weights)
        layout = Layout.of(sizes_of(x), cast("int | tuple[int, ...]", self.axis))
        epsilon = cast("float", self.epsilon)
        self._require_parameters(arrays, state, layout)
        dtype = accumulation_dtype(xp, *arrays.values(), weights)
        wide = xp.astype(x, dtype)
        gamma, beta, moving_mean, moving_variance = (
            None if p is None else layout.spread(xp.astype(p, dtype), xp) for p in list(arrays.values())[1:]
        )
        differentiate: Callable[..., Gradients]
        if training:
            if is_known(layout.count) and layout.count == 1 and self.convention.one_element == "raise":
                raise ValueError(
                    message(
                        f"{self.convention.name} needs more than one element per channel in training",
                        "Take a larger batch, training=False, or a convention with one_element='update'.",
                        shape=shape_of(x),
                        axis=self.axis,
                    )
                )
            batch = Moments.of(wide, layout.reduced, weights)
            weighting = None if weights is None else Weighting.of(weights, wide, batch.weight, layout, xp)
            variance = layout.spread(batch.population_variance(), xp)
            hi, lo = (layout.spread(part, xp) for part in (batch.mean_hi, batch.mean_lo))
            # No framework's own derivative may pass what is deleted and not finite.
            given = wide if weighting is None else xp.where(weighting.lost, hi, wide)
            centred = (given - hi) - lo
            inverse = inverse_deviation(variance, epsilon, xp)
            state = self._update(state, batch, weights is not None or not is_known(layout.count), layout, xp)
            differentiate = partial(training_pullback, weighting=weighting, variance=variance)
        else:
            weighting = None
            if weights is not None:
                require_weights(shape_of(weights), shape_of(x))
            centred = wide - moving_mean
            inverse = inverse_deviation(moving_variance, epsilon, xp)
            differentiate = evaluation_pullback
        y = normalize(centred, inverse, gamma, beta)
        if weighting is not None:
            y = xp.where(weighting.lost, xp.full_like(y, float("nan")), y)
        y = xp.astype(y, x.dtype)

        def pullback(cotangent: Any) -> Gradients:
            common_namespace(y=y, cotangent=cotangent)
            require_real_floating(cotangent=cotangent)
            if not fits(shape_of(cotangent), layout.shape):
                raise ValueError(
                    message("cotangent must have the shape of y", y=shape_of(y), cotangent=shape_of(cotangent))
                )
            wide_cotangent = xp.astype(cotangent, dtype)
            if None in shape_of(cotangent):
                wide_cotangent = xp.reshape(wide_cotangent, layout.shape)  # what does not fit fails when the call runs
            found = differentiate(wide_cotangent, centred, inverse, gamma, layout, xp)
            if weights is not None and not training:
                found = found._replace(weights=xp.zeros_like(weights))
            return _fit(found, {**arrays, "weights": weights}, xp)

        return y, state, pullback

    def _update(self, state: State, batch: Moments, sparse: bool, layout: Layout, xp: Any) -> State:
        """Return the state after a training batch; a channel without elements keeps its averages.

        `sparse` says that there may be such channels. In a batch that is known to be empty all are, and the averages
        are the same arrays.
        """
        counted = self.convention.empty_batch == "count"
        number = state.num_batches + 1
        if is_known(layout.count) and layout.count == 0:
            return state._replace(num_batches=number) if counted else state
        # Bessel's estimator has no value for one element; the population's variance, 0, is taken.
        bessel = self.convention.running_variance == "bessel"
        correction = xp.astype(batch.weight > 1, batch.weight.dtype) if bessel else 0.0
        found = {"moving_mean": batch.mean, "moving_variance": batch.variance(correction)}
        present = xp.reshape(batch.weight > 0, layout.parameter_shape)
        after = {}
        for name, value in found.items():
            old = getattr(state, name)
            dtype = accumulation_dtype(xp, old, value)
            wide, new = xp.astype(old, dtype), xp.astype(xp.reshape(value, layout.parameter_shape), dtype)
            if self.momentum is None:
                average = cumulative_average(wide, new, xp.astype(number, dtype))
            else:
                average = exponential_average(wide, new, cast("float", self.momentum), self.convention.momentum_weighs)
            if sparse:
                average = xp.where(present, average, wide)
            after[name] = detached(xp.astype(average, old.dtype))
        if sparse and not counted:
            number = xp.where(xp.any(present), number, state.num_batches)
        return State(**after, num_batches=number)

    def _require_parameters(self, arrays: dict[str, Any], state: State, layout: Layout) -> None:
        for name, present in (("gamma", self.scale), ("beta", self.center)):
            if (arrays[name] is not None) != present:
                raise ValueError(
                    message(
                        f"{name} must be {'an array' if present else 'None'} with center={self.center}, "
                        f"scale={self.scale}",
                        "Take the params that init returns.",
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
                        axis=self.axis,
                        **{name: shape_of(array)},
                    )
                )
        if shape_of(state.num_batches) != () or dtype_name(state.num_batches.dtype) not in ("int32", "int64"):
            raise TypeError(
                message(
                    "num_batches must be an integer array of shape ()",
                    "Take the state that init returns.",
                    shape=shape_of(state.num_batches),
                    dtype=dtype_name(state.num_batches.dtype),
                )
            )
        for name in ("moving_mean", "moving_variance"):
            if dtype_name(arrays[name].dtype) not in ("float32", "float64"):
                raise TypeError(
                    message(
                        f"{name} must be float32 or float64",
                        "In half precision, updates with a small momentum round away.",
                        dtype=dtype_name(arrays[name].dtype),
                    )
                )


def _fit(gradients: Gradients, arrays: dict[str, Any], xp: Any) -> Gradients:
    """Give each gradient the shape and dtype of what it belongs to."""
    fitted = {}
    for name, gradient in gradients._asdict().items():
        array = arrays[name]
        fitted[name] = array if array is None else xp.astype(xp.reshape(gradient, sizes_of(array)), array.dtype)
    return Gradients(**fitted)


def _require_momentum(momentum: Any) -> float | None:
    if momentum is None:
        return None
    if isinstance(momentum, bool) or not isinstance(momentum, Real):
        raise TypeError(message("momentum must be a real number or None", momentum=momentum))
    if not 0 <= float(momentum) <= 1:  # NaN is not
        raise ValueError(message("momentum must be in [0, 1]", momentum=momentum))
    return float(momentum)
