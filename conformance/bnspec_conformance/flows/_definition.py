"""bnspec's bijectors and distributions on a backend, as the laws ask for them."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec import distributions
from bnspec_conformance.checks import LawBroken
from bnspec_conformance.kept import Kept

from ._built import built

if TYPE_CHECKING:
    from ._densities import DensityEntry
    from ._entry import Entry

__all__ = ["DefinitionDensity", "DefinitionFlow"]


class _Running:
    """Something of bnspec's with variables, whose methods run at once, in a mode, or compiled.

    Parameters
    ----------
    entry : Entry or DensityEntry
        What it is made of.
    backend : Backend
        Where.
    kept : Kept or None
        What is done to each function; None runs the methods themselves.
    """

    subject: Any
    layers: list[Any]
    conditions: dict[str, Any]

    def __init__(self, entry: Entry | DensityEntry, backend: Any, kept: Kept | None) -> None:
        self.entry = entry
        self.backend = backend
        self.kept = kept

    def compile(self) -> Any:
        """Return the same under the compiler of the backend."""
        other = copy(self)
        other.kept = Kept(self.backend.compile)
        return other

    def read(self) -> list[tuple[Any, Any]]:
        """Return the running averages of each batch normalization."""
        to_numpy = self.backend.to_numpy
        with self.backend.context():
            return [(to_numpy(one.moving_mean.value), to_numpy(one.moving_variance.value)) for one in self.layers]

    def run(self, method: str, *arrays: Any, **options: Any) -> Any:
        """Call a method on arrays of NumPy's, and fail if it changed one."""
        with self.backend.context():
            sent = tuple(self._sent(array) for array in arrays)
            before = [self._bytes(array) for array in sent]
            names = tuple(self.conditions)
            given = tuple(self._sent(self.conditions[name]) for name in names)
            found = self._called(method, sent, names, given, options)
            if [self._bytes(array) for array in sent] != before:
                raise LawBroken(f"the input of {method} must be unchanged.")
            return self._received(found)

    def _called(self, method: str, sent: Any, names: Any, given: Any, options: dict[str, Any]) -> Any:
        if self.kept is None:
            return getattr(self.subject, method)(*sent, **options, **dict(zip(names, given, strict=True)))
        others = self.subject.non_trainable_variables
        values = [
            tuple(variable.value for variable in variables) for variables in (self.subject.trainable_variables, others)
        ]

        def pure(trainable: Any, non_trainable: Any, sent: Any, given: Any) -> Any:
            conditions = dict(zip(names, given, strict=True))
            return self.subject.stateless_call(trainable, non_trainable, *sent, method=method, **options, **conditions)

        # The function that is kept may be of another object of the same entry. That is sound: both have the same
        # constants, from the same description, and all that they may differ in - the values of the variables, the
        # conditions - comes as an argument; stateless_call looks at no value but those. Shapes and dtypes are the
        # compiler's own affair. Entries of one id differ in their conditions alone.
        key = (method, names, tuple(options.items()))
        found, after = self.kept(pure, (type(self.entry), self.entry.id), key)(*values, sent, given)
        for variable, value in zip(others, after, strict=True):
            variable.assign(value)
        return found

    def _sent(self, value: Any) -> Any:
        return tuple(map(self._sent, value)) if isinstance(value, tuple) else self.backend.asarray(value)

    def _bytes(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._bytes, value))
        return self.backend.to_numpy(value).tobytes()

    def _received(self, value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return tuple(map(self._received, value))
        if not self.backend.owns(value):
            raise LawBroken(
                f"{self.backend.name} must get back an array of its own. Got type={type(value).__qualname__}."
            )
        return self.backend.to_numpy(value)


class DefinitionFlow(_Running):
    """A bijector of bnspec's."""

    def __init__(self, entry: Entry, backend: Any, kept: Kept | None = None) -> None:
        super().__init__(entry, backend, kept)
        self.layers = []
        self.conditions = entry.conditions
        with backend.context():
            self.subject = built(entry.part, backend.asarray, self.layers)

    def forward(self, x: Any) -> Any:
        """Map."""
        return self.run("forward", x)

    def inverse(self, y: Any) -> Any:
        """Map back."""
        return self.run("inverse", y)

    def forward_log_det(self, x: Any, event_ndims: Any = None) -> Any:
        """Return log |det J| of forward."""
        return self.run("forward_log_det_jacobian", x, event_ndims=event_ndims)

    def inverse_log_det(self, y: Any, event_ndims: Any = None) -> Any:
        """Return log |det J| of inverse."""
        return self.run("inverse_log_det_jacobian", y, event_ndims=event_ndims)

    def forward_and_log_det(self, x: Any, event_ndims: Any = None) -> Any:
        """Return both of forward."""
        return self.run("forward_and_log_det", x, event_ndims=event_ndims)

    def inverse_and_log_det(self, y: Any, event_ndims: Any = None) -> Any:
        """Return both of inverse."""
        return self.run("inverse_and_log_det", y, event_ndims=event_ndims)

    def forward_event_shape(self, shape: Any) -> Any:
        """Return the shape of an event after forward."""
        return self.subject.forward_event_shape(shape)

    def inverse_event_shape(self, shape: Any) -> Any:
        """Return the shape of an event before forward."""
        return self.subject.inverse_event_shape(shape)

    def jacobian(self, x: np.ndarray[Any, Any], event_ndims: int) -> np.ndarray[Any, Any]:
        """Differentiate forward by the framework: one gradient for each element of an event."""
        batch = x.shape[: x.ndim - event_ndims]
        size = int(np.prod(x.shape[x.ndim - event_ndims :]))
        with self.backend.context():
            xp, sent = self.backend.namespace(), self.backend.asarray(x)
            conditions = {name: self.backend.asarray(value) for name, value in self.conditions.items()}

            def element(values: tuple[Any, ...], chosen: Any) -> Any:
                y = xp.reshape(self.subject.forward(values[0], **conditions), (-1, size))
                return xp.sum(y * chosen)

            # Which element is an argument: what differentiates them all is compiled once.
            differentiate = self.backend.value_and_grad(element)
            run = differentiate if self.kept is None else self.kept.transform(differentiate)
            rows = []
            for chosen in np.eye(size).astype(x.dtype):
                _, (slope,) = run((sent,), self.backend.asarray(chosen))
                rows.append(self.backend.to_numpy(slope).reshape(*batch, size))
        return np.stack(rows, axis=-2)


class DefinitionDensity(_Running):
    """A distribution of bnspec's."""

    def __init__(self, entry: DensityEntry, backend: Any, kept: Kept | None = None) -> None:
        super().__init__(entry, backend, kept)
        self.layers = []
        self.conditions = {}
        with backend.context():
            loc, scale = backend.asarray(entry.loc), backend.asarray(entry.scale)
            base: Any
            if entry.base == "MultivariateNormalDiag":
                base = distributions.MultivariateNormalDiag(loc, scale)
            else:
                base = distributions.Normal(loc, scale)
            if entry.base == "Independent":
                base = distributions.Independent(base, 1)
            elif entry.base == "Sample":
                base = distributions.Sample(base, (entry.size,))
            if entry.part is not None:
                base = distributions.TransformedDistribution(base, built(entry.part, backend.asarray, self.layers))
            self.subject = base

    def log_prob(self, value: Any) -> Any:
        """Return the logarithm of the density."""
        return self.run("log_prob", value)

    def prob(self, value: Any) -> Any:
        """Return the density."""
        return self.run("prob", value)

    def sample(self, shape: tuple[int, ...], seed: int) -> Any:
        """Draw."""
        return self.run("sample", sample_shape=shape, seed=seed)

    def sample_and_log_prob(self, shape: tuple[int, ...], seed: int) -> Any:
        """Draw, and return the logarithm of the density there."""
        return self.run("sample_and_log_prob", sample_shape=shape, seed=seed)
