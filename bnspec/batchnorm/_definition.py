"""BatchNorm: the definition. A frozen configuration, explicit parameters and state, pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from bnspec.arrays import (
    accumulation_dtype,
    as_axes,
    as_shape,
    common_namespace,
    device_of,
    fits,
    require_real_floating,
    shape_of,
    sizes_of,
)
from bnspec.batchnorm._bijection import normalized, restored
from bnspec.batchnorm._call import located
from bnspec.batchnorm._checks import (
    require_momentum,
    require_virtual_batch_size,
)
from bnspec.batchnorm._layout import Layout
from bnspec.batchnorm._normalize import require_epsilon
from bnspec.batchnorm._pullback import Gradients, Point, evaluation_pullback, training_pullback
from bnspec.batchnorm._renorm import Renorm
from bnspec.batchnorm._training import selected
from bnspec.batchnorm._values import Params, State
from bnspec.batchnorm._weighting import gathered
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


DEFAULT: Any = Default.DEFAULT


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
    renorm : Renorm, optional
        Correct training batches towards averages of their own.
    virtual_batch_size : int, optional
        In training, normalize ghost batches of so many samples each by itself; how they are cut and how they enter
        the averages is the convention's. Axis 0 is then the batch.

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

    axis: int | Sequence[int] = DEFAULT
    momentum: float | None = DEFAULT
    epsilon: float = DEFAULT
    center: bool = True
    scale: bool = True
    convention: Convention = KERAS
    renorm: Renorm | None = None
    virtual_batch_size: int | None = None

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
        object.__setattr__(self, "momentum", require_momentum(momentum))
        object.__setattr__(self, "epsilon", require_epsilon("epsilon", epsilon))
        require_virtual_batch_size(self.virtual_batch_size)
        if self.renorm is not None and not isinstance(self.renorm, Renorm):
            raise TypeError(message("renorm must be a bnspec.Renorm or None", renorm=self.renorm))
        self._require_combination()

    def _require_combination(self) -> None:
        """Refuse what no library does together, and what has no meaning together."""
        running = self.convention.statistics == "running"
        each = self.virtual_batch_size is not None and self.convention.ghost_update == "each"
        if self.renorm is not None and (running or each):
            raise ValueError(
                message(
                    "renorm must be None where the running averages normalize, or each ghost batch updates them",
                    "Take a convention with statistics='batch' and ghost_update='mean' or 'merged'.",
                    convention=self.convention.name,
                    virtual_batch_size=self.virtual_batch_size,
                )
            )
        if running and self.virtual_batch_size is not None:
            raise ValueError(
                message(
                    "virtual_batch_size must be None where the running averages normalize",
                    "Take a convention with statistics='batch'.",
                    convention=self.convention.name,
                    virtual_batch_size=self.virtual_batch_size,
                )
            )

    def init(self, shape: Sequence[int], *, like: Any) -> tuple[Params, State]:
        """Create gamma = 1, beta = 0, moving_mean = 0, the convention's moving_variance, and a count of 0.

        Parameters
        ----------
        shape : sequence of int
            The shape of the input; only the sizes of the feature axes matter.
        like : array, real floating
            Gives the array library, the device and the dtype: float64 if it is float64, else float32, or what
            it is where the convention says so.

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
        layout = Layout.of(as_shape(shape), self.axis)
        dtype = like.dtype if self.convention.state_dtype == "input" else accumulation_dtype(xp, like)
        device, sizes = device_of(like), layout.parameter_shape

        def filled(value: float, shape: tuple[int, ...] = sizes, kind: Any = dtype) -> Any:
            # Each leaf is an array of its own: a framework may update one of them in place.
            return xp.full(shape, value, dtype=kind, device=device)

        params = Params(filled(1.0) if self.scale else None, filled(0.0) if self.center else None)
        variance = self.convention.initial_variance
        state = State(filled(0.0), filled(variance), xp.zeros((), dtype=xp.int32, device=device))
        if self.renorm is None:
            return params, state
        deviation = variance**0.5
        return params, State(*state[:3], filled(deviation), filled(0.0), filled(deviation))

    def apply(
        self,
        params: Params,
        state: State,
        x: Any,
        *,
        training: Any,
        weights: Any = None,
        adjustment: tuple[Any, Any] | None = None,
    ) -> tuple[Any, State]:
        """Normalize.

        Parameters
        ----------
        params : Params
            Parameters of shape K.
        state : State
            Running statistics of shape K. It is never changed.
        x : array, shape S, real floating
            The input. S has the feature axes; N is the product of the other sizes.
        training : bool or array, shape (), boolean
            True normalizes by the batch's mean and variance and updates the averages; False normalizes by the
            averages. An array decides when the call runs, so that one compiled function serves both.
        weights : array, real floating, optional
            Non-negative frequency weights of x's rank, broadcastable to S. In training the statistics are those of
            each element repeated so many times: 0 deletes it, NaN included, and fractions count as fractions. A
            negative one makes the output of its channel NaN, which keeps its averages. In evaluation they change
            nothing.
        adjustment : pair of arrays, real floating, optional
            Scale and bias, each broadcastable to S, that follow normalization and come before gamma and beta. In
            evaluation they change nothing.

        Returns
        -------
        y : array, shape S
            The output, of x's dtype or of what the convention says. NaN and infinities in a channel make that
            channel NaN, in training with its averages.
        state : State
            The running statistics after; in evaluation, the same object.

        Raises
        ------
        TypeError
            If an array is not real floating or of another library, a running average is not float32 or
            float64, or `training` is not a bool.
        ValueError
            If a shape or device does not fit; if a training batch has one element per channel and the
            convention refuses that; if `virtual_batch_size` does not divide the samples of a training batch.

        Notes
        -----
        With N = 0, y is empty, and the averages stay as they are whatever the convention. With N = 1 in
        training, the variance is 0 and y is beta, or the convention raises. A channel whose weights are all 0 keeps
        its averages, and is normalized by mean and variance 0. Where variance and epsilon are both 0, y is not finite.
        Sums are formed in float32 or float64: where the sum of a channel or of its squared deviations overflows that,
        the channel's statistics are not finite. No gradient passes the new state.

        Where N is not known before the call runs, as in a ``tf.function`` with unknown dimensions, no convention
        can refuse N = 1: all of them give beta. Nor where `training` is an array; then ghost batches must divide the
        samples in evaluation too.
        """
        y, state, _ = self.vjp(params, state, x, training=training, weights=weights, adjustment=adjustment)
        return y, state

    def vjp(
        self,
        params: Params,
        state: State,
        x: Any,
        *,
        training: Any,
        weights: Any = None,
        adjustment: tuple[Any, Any] | None = None,
    ) -> tuple[Any, State, Callable[[Any], Gradients]]:
        """Normalize, and return the vector-Jacobian product of the output.

        Parameters
        ----------
        params, state, x, training, weights, adjustment
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
            weight the gradient NaN; its cotangent must be 0. A framework's own derivative by that weight is a number
            without meaning.

        Raises
        ------
        TypeError, ValueError
            As of :meth:`apply`; and from the pullback, if the cotangent does not fit y.

        References
        ----------
        .. [1] S. Ioffe and C. Szegedy, Batch Normalization, arXiv:1502.03167, section 3.
        """
        call = located(self, params, state, x, training, weights, adjustment)
        xp, dtype, layout, ghosts, y = call.xp, call.dtype, call.layout, call.ghosts, call.y

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
            wide_cotangent = ghosts.grouped(wide_cotangent, xp)
            found = self._differentiated(wide_cotangent, call.point, weights is not None, call.chosen, xp)
            found = found._replace(x=ghosts.joined(found.x, xp))
            if weights is not None:
                found = found._replace(weights=gathered(ghosts.joined(found.weights, xp), weights, xp))
            return _fit(found, {**call.arrays, "weights": weights}, xp)

        return y, call.state, pullback

    def apply_and_log_det(
        self,
        params: Params,
        state: State,
        x: Any,
        *,
        training: Any,
        adjustment: tuple[Any, Any] | None = None,
    ) -> tuple[Any, Any, State]:
        """Normalize, with the logarithm of each element's slope by the statistics that normalize.

        Parameters
        ----------
        params, state, x, training, adjustment
            As of :meth:`apply`.

        Returns
        -------
        y : array, shape S
            As of :meth:`apply`.
        log_det : array, broadcastable to S, of y's dtype
            log |gamma| - log(variance + epsilon) / 2, with the logarithm of the adjustment's scale: log |dy/dx| of each
            element with the mean and the variance held. Summed over the axes of an event, it is the log-det of the
            Jacobian of that.
        state : State
            As of :meth:`apply`.

        Raises
        ------
        TypeError, ValueError
            As of :meth:`apply`; and if there is a `renorm` or a `virtual_batch_size`.

        References
        ----------
        .. [1] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation,
           arXiv:1705.07057, appendix B.
        """
        return normalized(self, params, state, x, training, adjustment)

    def invert_and_log_det(self, params: Params, state: State, y: Any) -> tuple[Any, Any]:
        """Find the input that evaluation maps to an output, with the logarithm of each element's slope.

        Parameters
        ----------
        params, state
            As of :meth:`apply`.
        y : array, shape S, real floating
            The output of :meth:`apply` with ``training=False``.

        Returns
        -------
        x : array, shape S
            ``(y - beta) / gamma * sqrt(moving_variance + epsilon) + moving_mean``; not finite where gamma is 0.
        log_det : array, broadcastable to S, of x's dtype
            log(moving_variance + epsilon) / 2 - log |gamma|.

        Raises
        ------
        TypeError, ValueError
            As of :meth:`apply`.
        """
        return restored(self, params, state, y)

    def _differentiated(self, cotangent: Any, point: Point, weighted: bool, chosen: Any, xp: Any) -> Gradients:
        """Differentiate in the mode, or in both where `chosen` decides; each element has a gradient of its weight."""
        if point.chain is not None and chosen is None:
            return training_pullback(cotangent, point, point.chain, xp)
        found = evaluation_pullback(cotangent, point, xp)
        if weighted:
            found = found._replace(weights=xp.zeros_like(cotangent))
        if point.chain is None:
            return found
        trained = training_pullback(cotangent, point, point.chain, xp)
        return Gradients(*(selected(chosen, new, old, xp) for new, old in zip(trained, found, strict=True)))


def _fit(gradients: Gradients, arrays: dict[str, Any], xp: Any) -> Gradients:
    """Give each gradient the shape and dtype of what it belongs to."""
    fitted = {}
    for name, gradient in gradients._asdict().items():
        array = arrays[name]
        fitted[name] = array if array is None else xp.astype(xp.reshape(gradient, sizes_of(array)), array.dtype)
    return Gradients(**fitted)
