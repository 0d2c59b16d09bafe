"""The adapter of bnspec itself, on a backend."""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import bnspec
from bnspec.arrays import blocked_sum, sizes_of, to_rows

from .checks import LawBroken
from .flows import DefinitionDensity, DefinitionFlow
from .kept import Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bnspec.conventions import Convention

    from .adapter import Config
    from .flows import DensityEntry, Entry

__all__ = ["OUTSIDE", "DefinitionAdapter"]

OUTSIDE = ", tape outside"
"""What follows the name of a mode whose functions are differentiated from outside."""


class DefinitionAdapter:
    """bnspec on a backend.

    Parameters
    ----------
    backend : Backend
        As ``bnspec.backend`` returns it.
    convention : Convention
        The convention that the layers follow.
    mode : str
        One of ``backend.modes()``, in which every function is run; the empty string is at once. With
        ``", tape outside"`` behind it, gradients are taken of the function in that mode; without, the function
        that is run in the mode takes them.
    """

    offers = ("ghosts", "renorm")

    def __init__(self, backend: Any, convention: Convention, mode: str = "") -> None:
        self.backend = backend
        self.convention = convention
        self.mode = mode
        self.layer = DefinitionLayer
        self.kept = Kept(transformation(backend, mode)) if mode else None

    @property
    def gaps(self) -> Mapping[str, str]:
        """What the backend declares."""
        gaps = dict(self.backend.gaps())
        if "autodiff" in gaps:
            gaps["hessian_vector_product"] = gaps["autodiff"]
        if self.convention.statistics == "running":
            gaps["ghosts"] = gaps["renorm"] = "running averages that normalize go with neither"
        if self.mode:
            gaps["compile"] = "everything is run in a mode already"
            gaps.update(self.backend.mode_gaps(self.mode.removesuffix(OUTSIDE)))
        return gaps

    def __call__(self, config: Config) -> DefinitionLayer:
        """Build a layer."""
        return DefinitionLayer(config, self.backend, self.mode)

    @property
    def flow_gaps(self) -> Mapping[str, str]:
        """What the backend declares, as far as bijectors and distributions need it."""
        gaps = self.gaps
        found = {name: gaps[name] for name in ("float16", "bfloat16", "float64", "compile") if name in gaps}
        return {**found, "jacobian": gaps["autodiff"]} if "autodiff" in gaps else found

    def bijector(self, entry: Entry) -> DefinitionFlow:
        """Build a bijector of the catalogue."""
        return DefinitionFlow(entry, self.backend, self.kept)

    def density(self, entry: DensityEntry) -> DefinitionDensity:
        """Build a distribution of the catalogue."""
        return DefinitionDensity(entry, self.backend, self.kept)

    def default(self, shape: tuple[int, ...], dtype: str) -> DefaultLayer:
        """Build a layer of the convention's defaults."""
        return DefaultLayer(shape, dtype, self.convention, self.backend, self.mode)

    def moments(self, x: Any, axes: Any, keepdims: bool) -> Any:
        """Run ``bnspec.moments`` on the backend."""
        return self._on_backend(bnspec.moments, x, axes, keepdims)

    def weighted_moments(self, x: Any, axes: Any, frequency_weights: Any, keepdims: bool) -> Any:
        """Run ``bnspec.weighted_moments`` on the backend."""
        return self._on_backend(bnspec.weighted_moments, x, axes, frequency_weights, keepdims)

    def batch_normalization(self, *arguments: Any) -> Any:
        """Run ``bnspec.batch_normalization`` on the backend."""
        return self._on_backend(bnspec.batch_normalization, *arguments)

    def _on_backend(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self.backend.context():
            run = transformation(self.backend, self.mode)
            return receive(self.backend, run(function)(*(send(self.backend, argument) for argument in arguments)))


class DefinitionLayer:
    """One ``bnspec.BatchNorm`` with its parameters and state on a backend."""

    def __init__(self, config: Config, backend: Any, mode: str = "") -> None:
        self.backend = backend
        self.run = transformation(backend, mode)
        self.outside = mode.endswith(OUTSIDE)
        self.spec = bnspec.BatchNorm(
            axis=config.axis,
            momentum=config.momentum,
            epsilon=config.epsilon,
            center=config.center,
            scale=config.scale,
            convention=config.convention,
            renorm=config.renorm,
            virtual_batch_size=config.virtual_batch_size,
        )
        self.compiled: dict[bool, Callable[..., Any]] | None = None

    def load(self, gamma: Any, beta: Any, moving_mean: Any, moving_variance: Any) -> None:
        """Set parameters and running statistics."""
        with self.backend.context():
            count = np.asarray(0, dtype=np.int32)
            self.params = bnspec.Params(*send(self.backend, (gamma, beta)))
            self.state = bnspec.State(*send(self.backend, (moving_mean, moving_variance, count)))

    def __call__(self, x: np.ndarray[Any, Any], training: bool) -> np.ndarray[Any, Any]:
        """Return the output, and keep the new state."""
        with self.backend.context():
            apply = self.compiled[training] if self.compiled else self.run(partial(self.spec.apply, training=training))
            y, state = self._purely(apply, send(self.backend, x))
            self.state = bnspec.State(*state)
            out: np.ndarray[Any, Any] = receive(self.backend, y)
            return out

    def load_renorm(self, moving_stddev: Any, renorm_mean: Any, renorm_stddev: Any) -> None:
        """Set what renormalization keeps."""
        with self.backend.context():
            parts = send(self.backend, (moving_stddev, renorm_mean, renorm_stddev))
            self.state = bnspec.State(*self.state[:3], *parts)

    def read_renorm(self) -> tuple[np.ndarray[Any, Any], ...]:
        """Return what renormalization keeps."""
        with self.backend.context():
            kept: tuple[np.ndarray[Any, Any], ...] = receive(self.backend, tuple(self.state[3:]))
        return kept

    def weighted(self, x: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the output in training with frequency weights, and keep the new state."""
        return self._trained(lambda weights: {"weights": weights}, x, weights)

    def weighted_gradients(self, x: Any, cotangent: Any, weights: Any) -> dict[str, Any]:
        """Return the gradients of ``BatchNorm.vjp`` in training with frequency weights."""
        return self._differentiate(lambda weights: {"weights": weights}, x, cotangent, weights)

    def adjusted(self, x: Any, scale: Any, bias: Any) -> np.ndarray[Any, Any]:
        """Return the output in training with an adjustment, and keep the new state."""
        return self._trained(lambda *pair: {"adjustment": pair}, x, scale, bias)

    def adjusted_gradients(self, x: Any, cotangent: Any, scale: Any, bias: Any) -> dict[str, Any]:
        """Return the gradients of ``BatchNorm.vjp`` in training with an adjustment."""
        return self._differentiate(lambda *pair: {"adjustment": pair}, x, cotangent, scale, bias)

    def log_det(self, x: np.ndarray[Any, Any], training: bool) -> np.ndarray[Any, Any]:
        """Return the log-det of ``BatchNorm.apply_and_log_det`` over each sample, and keep the new state."""
        return self._log_det(x, lambda *_: {"training": training})

    def adjusted_log_det(self, x: Any, scale: Any, bias: Any) -> np.ndarray[Any, Any]:
        """Return the log-det in training with an adjustment, and keep the new state."""
        return self._log_det(x, lambda *pair: {"training": True, "adjustment": pair}, scale, bias)

    def invert(self, y: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return what ``BatchNorm.invert_and_log_det`` finds."""

        def restore(params: Any, state: Any, y: Any) -> Any:
            return self.spec.invert_and_log_det(params, state, y)[0]

        with self.backend.context():
            x: np.ndarray[Any, Any] = receive(self.backend, self._purely(self.run(restore), send(self.backend, y)))
            return x

    def _log_det(self, x: Any, options: Callable[..., Any], *extra: Any) -> np.ndarray[Any, Any]:
        """Take the log-det with options made of more arrays, and keep the new state."""
        xp = self.backend.namespace()

        def apply(params: Any, state: Any, x: Any, *extra: Any) -> Any:
            _, log_det, after = self.spec.apply_and_log_det(params, state, x, **options(*extra))
            return over_samples(log_det, x, xp), after

        with self.backend.context():
            log_det, state = self._purely(self.run(apply), *(send(self.backend, array) for array in (x, *extra)))
            self.state = bnspec.State(*state)
            out: np.ndarray[Any, Any] = receive(self.backend, log_det)
            return out

    def _trained(self, options: Callable[..., Any], x: Any, *extra: Any) -> np.ndarray[Any, Any]:
        """Train on a batch with options made of more arrays, and keep the new state."""

        def apply(params: Any, state: Any, x: Any, *extra: Any) -> Any:
            return self.spec.apply(params, state, x, training=True, **options(*extra))

        with self.backend.context():
            y, state = self._purely(self.run(apply), *(send(self.backend, array) for array in (x, *extra)))
            self.state = bnspec.State(*state)
            out: np.ndarray[Any, Any] = receive(self.backend, y)
            return out

    def _differentiate(self, options: Callable[..., Any], x: Any, cotangent: Any, *extra: Any) -> dict[str, Any]:
        """Differentiate in training with options made of more arrays."""

        def backward(params: Any, state: Any, x: Any, cotangent: Any, *extra: Any) -> Any:
            _, _, pullback = self.spec.vjp(params, state, x, training=True, **options(*extra))
            return pullback(cotangent)

        with self.backend.context():
            given = [send(self.backend, array) for array in (x, cotangent, *extra)]
            return self._named(self._purely(self.run(backward), *given))

    def read(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the running statistics."""
        with self.backend.context():
            mean, variance = receive(self.backend, tuple(self.state[:2]))
        return mean, variance

    def compile(self) -> DefinitionLayer:
        """Return a layer with the same parameters and state whose calls are compiled."""
        other = copy(self)
        other.compiled = {
            training: self.backend.compile(partial(self.spec.apply, training=training)) for training in (True, False)
        }
        return other

    def gradients(self, x: Any, cotangent: Any, training: bool) -> dict[str, Any]:
        """Return the gradients of ``BatchNorm.vjp``."""

        def backward(params: Any, state: Any, x: Any, cotangent: Any) -> Any:
            _, _, pullback = self.spec.vjp(params, state, x, training=training)
            return pullback(cotangent)

        with self.backend.context():
            return self._named(self._purely(self.run(backward), send(self.backend, x), send(self.backend, cotangent)))

    def autodiff(self, x: Any, cotangent: Any, training: bool) -> dict[str, Any]:
        """Return the gradients of the framework's own differentiation of ``BatchNorm.apply``."""
        with self.backend.context():
            xp = self.backend.namespace()
            given = {"x": send(self.backend, x), **self.params._asdict(), **self.state._asdict()}
            count = given.pop("num_batches")
            names = [name for name, value in given.items() if value is not None]
            weight = send(self.backend, cotangent)

            def forward(values: tuple[Any, ...]) -> Any:
                named = {**given, **dict(zip(names, values, strict=True))}
                params = bnspec.Params(named["gamma"], named["beta"])
                state = bnspec.State(*(count if name == "num_batches" else named[name] for name in self.state._fields))
                y, _ = self.spec.apply(params, state, named["x"], training=training)
                return paired(y, weight, xp)

            differentiate = self._differentiated(forward)
            _, gradients = differentiate(tuple(given[name] for name in names))
            found = dict(zip(names, gradients, strict=True))
            return {name: receive(self.backend, value) for name, value in found.items() if value is not None}

    def hessian_vector_product(self, x: Any, cotangent: Any, tangent: Any) -> Any:
        """Return the derivative of the gradient along a tangent, both by the framework."""
        with self.backend.context():
            xp = self.backend.namespace()
            weight, direction = send(self.backend, cotangent), send(self.backend, tangent)

            def forward(values: tuple[Any, ...]) -> Any:
                y, _ = self.spec.apply(self.params, self.state, values[0], training=True)
                return paired(y, weight, xp)

            gradient = self.backend.value_and_grad(self.run(forward) if self.outside else forward)

            def slope(values: tuple[Any, ...]) -> Any:
                return paired(gradient(values)[1][0], direction, xp)

            differentiate = self.backend.value_and_grad(slope)
            _, (product,) = (differentiate if self.outside else self.run(differentiate))((send(self.backend, x),))
            return receive(self.backend, product)

    def _differentiated(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Differentiate by the framework, around the mode or inside it."""
        if self.outside:
            return self.backend.value_and_grad(self.run(function))  # type: ignore[no-any-return]
        return self.run(self.backend.value_and_grad(function))

    def _named(self, gradients: Any) -> dict[str, Any]:
        found = gradients._asdict()
        return {name: receive(self.backend, value) for name, value in found.items() if value is not None}

    def _purely(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """Call with parameters, state and arrays, and fail if the call changed any of them."""
        given = (*self.params, *self.state, *arrays)
        names = (*self.params._fields, *self.state._fields, *(f"argument {n}" for n in range(3, 3 + len(arrays))))
        before = receive(self.backend, given)
        result = function(self.params, self.state, *arrays)
        after = receive(self.backend, given)
        for name, old, new in zip(names, before, after, strict=True):
            if old is not None and old.tobytes() != new.tobytes():
                raise LawBroken(f"{name} must not be changed by the call.")
        return result


class DefaultLayer(DefinitionLayer):
    """One ``bnspec.BatchNorm`` that is told its convention alone."""

    def __init__(self, shape: tuple[int, ...], dtype: str, convention: Convention, backend: Any, mode: str) -> None:
        self.backend = backend
        self.run = transformation(backend, mode)
        self.outside = mode.endswith(OUTSIDE)
        self.spec = bnspec.BatchNorm(convention=convention)
        self.compiled = None
        with backend.context():
            self.params, self.state = self.spec.init(shape, like=send(backend, np.zeros(1, np.dtype(dtype))))


def transformation(backend: Any, mode: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what a mode does to a function; without a mode, nothing."""
    if not mode:
        return lambda function: function
    transform: Callable[[Callable[..., Any]], Callable[..., Any]] = backend.modes()[mode.removesuffix(OUTSIDE)]
    return transform


def paired(a: Any, b: Any, xp: Any) -> Any:
    """Sum the products of two arrays of one shape, in the dtype of the first."""
    return xp.sum(xp.reshape(a * xp.astype(b, a.dtype), (-1,)), axis=0)


def over_samples(log_det: Any, x: Any, xp: Any) -> Any:
    """Sum what broadcasts to x over all axes but the first."""
    spread = xp.broadcast_to(log_det, sizes_of(x))
    return blocked_sum(to_rows(spread, tuple(range(1, x.ndim)), xp), xp)


def send(backend: Any, value: Any) -> Any:
    """Copy the NumPy arrays in a value to a backend; leave all else as it is."""
    if isinstance(value, tuple) and any(isinstance(item, np.ndarray) for item in value):
        return tuple(send(backend, item) for item in value)
    return backend.asarray(value) if isinstance(value, np.ndarray) else value


def receive(backend: Any, value: Any) -> Any:
    """Copy arrays of a backend to NumPy, and fail on any that belongs to another library or device."""
    if isinstance(value, tuple):
        return tuple(receive(backend, item) for item in value)
    if value is None:
        return None
    if not backend.owns(value):
        raise LawBroken(f"{backend.name} must get back an array of its own. Got type={type(value).__qualname__}.")
    return backend.to_numpy(value)
