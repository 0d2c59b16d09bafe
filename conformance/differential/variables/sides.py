"""Both sides: the layer on a backend, and those of tf_keras and Keras."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.layers import BatchNormalization
from bnspec_conformance.definition import receive, send

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]
    Options = dict[str, Any]

__all__ = ["Ours", "originals"]


class Ours:
    """The layer on a backend."""

    def __init__(self, options: Options, backend: Any) -> None:
        self.backend = backend
        with backend.context():
            self.layer = BatchNormalization(**options["arguments"])
            pattern = np.zeros((1, options["channels"]), options["arguments"]["dtype"])
            self.layer.build((None, options["channels"]), like=send(backend, pattern))

    def name(self) -> str:
        """Return the layer's name."""
        return self.layer.name

    def value(self, name: str) -> Array:
        """Return a variable's value."""
        found: Array = receive(self.backend, getattr(self.layer, name).value)
        return found

    def assign(self, name: str, value: Array) -> None:
        """Put a value into a variable."""
        with self.backend.context():
            getattr(self.layer, name).assign(send(self.backend, value))

    def losses(self) -> list[float]:
        """Return the penalties, gamma's first."""
        with self.backend.context():
            return [float(receive(self.backend, loss)) for loss in self.layer.losses]

    def constrain(self) -> None:
        """Apply the constraints."""
        with self.backend.context():
            self.layer.apply_constraints()


class _Keras:
    """A layer of tf_keras or Keras."""

    def __init__(self, options: Options, kind: Any) -> None:
        self.layer = kind(**options["arguments"])
        self.layer.build((None, options["channels"]))

    def name(self) -> str:
        found: str = self.layer.name
        return found

    def value(self, name: str) -> Array:
        found: Array = np.asarray(getattr(self.layer, name))
        return found

    def assign(self, name: str, value: Array) -> None:
        getattr(self.layer, name).assign(value)

    def losses(self) -> list[float]:
        return [float(np.asarray(loss)) for loss in self.layer.losses]

    def constrain(self) -> None:
        for variable in (self.layer.gamma, self.layer.beta):  # as its optimizers do after a step
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))


def originals() -> dict[str, Callable[[Options], Any]]:
    """Return what makes each original's layer."""
    import keras  # noqa: PLC0415 - tests of this module need no original
    import tf_keras  # noqa: PLC0415
    from tf_keras.src.layers.normalization import batch_normalization_v1  # noqa: PLC0415

    kinds = {
        "tf_keras v2": tf_keras.layers.BatchNormalization,
        "tf_keras v1": batch_normalization_v1.BatchNormalization,
        "keras on tensorflow": keras.layers.BatchNormalization,
    }
    return {name: partial(_Keras, kind=kind) for name, kind in kinds.items()}
