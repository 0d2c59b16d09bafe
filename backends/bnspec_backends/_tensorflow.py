"""TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from bnspec_backends import _tensorflow_namespace
from bnspec_backends._base import Backend

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BACKEND"]


class TensorFlow(Backend):
    """TensorFlow on the CPU, with plain ``tf.Tensor`` arrays."""

    framework: ClassVar[str] = "tensorflow"

    @property
    def version(self) -> str:
        return str(tf.__version__)

    def namespace(self) -> Any:
        return _tensorflow_namespace

    def asarray(self, array: np.ndarray[Any, Any]) -> Any:
        # tf.constant caches scalars and loses the sign of zero; it copies arrays.
        return tf.constant(np.array(array))

    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        return np.array(array.numpy())

    def owns(self, array: Any) -> bool:
        return isinstance(array, tf.Tensor)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = tf.function(function, autograph=False)
        return compiled

    def value_and_grad(self, function: Callable[..., Any]) -> Callable[..., tuple[Any, Any]]:
        def differentiated(first: Any, *rest: Any) -> tuple[Any, Any]:
            # A fresh identity: the tape would count uses of the caller's own tensor inside the function too.
            first = tf.nest.map_structure(tf.identity, first)
            with tf.GradientTape() as tape:
                tape.watch(first)
                value = function(first, *rest)
            return value, tape.gradient(value, first)

        return differentiated


BACKEND = TensorFlow()
