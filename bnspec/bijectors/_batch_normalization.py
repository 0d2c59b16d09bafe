"""Batch normalization as a bijector."""

from __future__ import annotations

from typing import Any

from bnspec.arrays import ACCUMULATES_IN, as_axes, common_namespace, dtype_name, shape_of, sizes_of
from bnspec.batchnorm._checks import require_training
from bnspec.bijectors._base import Bijector
from bnspec.bijectors._domain import require_all
from bnspec.bijectors._reduction import summed
from bnspec.errors import message
from bnspec.layers import BatchNormalization as Layer
from bnspec.layers import Positive

__all__ = ["BatchNorm", "BatchNormalization"]


class BatchNormalization(Bijector):
    """Normalize in ``inverse``, and undo it in ``forward``: x = (y - mean) / sqrt(variance + epsilon) gamma + beta.

    Parameters
    ----------
    batchnorm_layer : bnspec.layers.BatchNormalization, optional
        The layer, which keeps gamma, beta and the running averages. By default one on the last axis, whose constraint
        projects gamma to ``relu(gamma) + 1e-6``: call :meth:`apply_constraints` after an optimizer's step.
    training : bool
        Whether ``inverse`` normalizes by the mean and the variance of the batch, and enters them into the running
        averages; else it normalizes by the running averages.
    validate_args : bool
        Whether a gamma of 0 is refused, where the values are known.
    name : str
        The name.

    Raises
    ------
    TypeError
        If `training` is not a bool.
    ValueError
        If the layer is of another kind, or has renorm or virtual batches, whose output is no map of one element.

    Notes
    -----
    ``forward`` always takes the running averages. Value and log-det always belong together: that of ``inverse`` is
    log |gamma| - log(variance + epsilon) / 2, summed over the event, with the statistics that normalized; with a frozen
    layer, those that the layer's convention names; with an adjustment, its scale comes in. In training, statistics
    count as given: the derivative of the mean and the variance by the batch is left out, as in [2]_.

    In training, ``inverse`` and ``inverse_and_log_det`` move the averages once each; so does the log-density of a
    transformed distribution. ``forward``, log-dets alone, shapes and samples never do. Hence forward and inverse undo
    each other in evaluation, and not in training.

    The condition ``training=`` of each method goes before what the constructor was told, so that one flow serves both:
    ``flow.log_prob(x, training=True)``.

    The rank of an event is at least the number of the layer's axes. Each axis of the event that is no feature axis
    multiplies the log-det by its size.

    References
    ----------
    .. [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density estimation using Real NVP, arXiv:1605.08803, section 3.7.
    .. [2] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation,
       arXiv:1705.07057, appendix B.

    Examples
    --------
    >>> import numpy as np
    >>> from bnspec.bijectors import BatchNormalization
    >>> bijector = BatchNormalization()
    >>> y = np.asarray([[1.0, 10.0], [3.0, 30.0]])
    >>> x, log_det = bijector.inverse_and_log_det(y)
    >>> log_det.shape
    (2,)
    """

    def __init__(
        self,
        batchnorm_layer: Layer | None = None,
        training: bool = True,
        validate_args: bool = False,
        name: str | None = "batch_normalization",
    ) -> None:
        layer = Layer(gamma_constraint=Positive(1e-6)) if batchnorm_layer is None else batchnorm_layer
        if not isinstance(layer, Layer):
            raise ValueError(  # noqa: TRY004 - what TFP raises
                message(
                    "batchnorm_layer must be a bnspec.layers.BatchNormalization",
                    "Convert parameters and averages of another library's with bnspec.convert.",
                    type=f"{type(layer).__module__}.{type(layer).__qualname__}",
                )
            )
        for key in ("renorm", "virtual_batch_size"):
            given = getattr(layer.spec, key)
            if given is not None:
                raise ValueError(message(f"batchnorm_layer must have no {key}", "Leave it out.", **{key: given}))
        if not isinstance(training, bool):
            raise TypeError(message("training must be a bool", training=training))
        self._layer = layer
        self._training = training
        super().__init__(
            forward_min_event_ndims=len(as_axes("axis", layer.spec.axis)),
            validate_args=validate_args,
            parameters={
                "batchnorm_layer": layer,
                "training": training,
                "validate_args": validate_args,
                "name": name,
            },
            name=name,
        )

    @property
    def batchnorm(self) -> Layer:
        """The layer."""
        return self._layer

    @property
    def training(self) -> bool:
        """Whether ``inverse`` normalizes by the batch where no condition says otherwise."""
        return self._training

    def _like(self) -> Any:
        return self._layer.moving_mean.value if self._layer.built else None

    def _forward_event_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Refuse another number of features than the layer's, where the minimal event has that axis."""
        for axis, size in zip(as_axes("axis", self._layer.spec.axis), self._features(), strict=False):
            if -self.forward_min_event_ndims <= axis < 0 and isinstance(shape[axis], int) and shape[axis] != size:
                raise ValueError(
                    message(f"an event of {self.name} must have {size} features on axis {axis}", shape=shape)
                )
        return shape

    _inverse_event_shape = _forward_event_shape

    def _features(self) -> tuple[Any, ...]:
        axes, shape = as_axes("axis", self._layer.spec.axis), self._layer.input_shape
        return tuple(shape[axis] for axis in axes) if shape else ()

    def _forward_and_log_det(self, x: Any, training: Any = None) -> tuple[Any, Any]:
        require_training(self._training if training is None else training)
        self._require_input(x)
        y, log_det = self._layer.invert_and_log_det(x)
        return y, self._over_event(log_det, x)

    def _inverse_and_log_det(self, y: Any, training: Any = None) -> tuple[Any, Any]:
        self._require_input(y)
        x, log_det = self._layer.call_and_log_det(y, training=self._training if training is None else training)
        return x, self._over_event(log_det, y)

    def _over_event(self, log_det: Any, x: Any) -> Any:
        """Sum over the minimal event; what is equal on an axis counts as often as that is long."""
        ndims = self.forward_min_event_ndims
        batch = shape_of(log_det)[: len(shape_of(log_det)) - ndims]
        sizes = sizes_of(x)
        xp = common_namespace(x=x, log_det=log_det)
        if None in batch:
            batch = sizes_of(log_det)[: len(batch)]
        return summed(xp.broadcast_to(log_det, (*batch, *sizes[len(sizes) - ndims :])), ndims, xp)

    def _require_input(self, x: Any) -> None:
        """Refuse another precision than that of the variables, which would be cast, and another rank where it counts.

        A layer whose axis is counted from the front means another one in an input with more axes in front, as those of
        samples are.
        """
        layer = self._layer
        built, rank = layer.input_shape, len(shape_of(x))
        if built and len(built) != rank and max(as_axes("axis", layer.spec.axis)) >= 0:
            raise ValueError(
                message(
                    "an input must have the rank that the layer was built with, since its axis is not negative",
                    "Count the axis of the layer from the end.",
                    axis=layer.spec.axis,
                    shape=shape_of(x),
                    built=tuple(built),
                )
            )
        kept = dtype_name(layer.moving_mean.dtype) if layer.built else layer.dtype
        if kept is not None and ACCUMULATES_IN[kept] != dtype_name(x.dtype):
            raise TypeError(
                message(
                    "an input and the variables of the layer must have one precision",
                    "Convert the input, or build the layer with like=x.",
                    x=dtype_name(x.dtype),
                    variables=kept,
                )
            )

    def _validate(self, direction: str, x: Any) -> None:
        gamma = self._layer.gamma
        if gamma is not None:
            require_all("gamma must not be 0", gamma.value != 0, "Call apply_constraints after an optimizer's step.")


BatchNorm = BatchNormalization
"""The name in the first documents."""
