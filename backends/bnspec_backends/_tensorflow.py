"""TensorFlow."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import tensorflow as tf

from bnspec_backends import _tensorflow_namespace
from bnspec_backends._base import Backend
from bnspec_backends._beyond import leading, refined_erfinv
from bnspec_backends._tensorflow_modes import MODES
from bnspec_backends._tensorflow_namespace._common import require_dense, sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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

    def sizes(self, array: Any) -> tuple[Any, ...]:
        return sizes(array)

    def require_dense(self, name: str, array: Any) -> None:
        require_dense(name, array)

    def is_concrete(self, array: Any) -> bool:
        return not tf.is_symbolic_tensor(array)

    def owns(self, array: Any) -> bool:
        return isinstance(array, tf.Tensor)

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        compiled: Callable[..., Any] = tf.function(function, autograph=False)
        return compiled

    def modes(self) -> Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
        return MODES

    def mode_gaps(self, mode: str) -> Mapping[str, str]:
        late = {"refusal": "N is not known before the call runs"}
        return late if "unknown" in mode else {}

    def value_and_grad(self, function: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., tuple[Any, Any]]:
        def differentiated(first: Any, *rest: Any) -> tuple[Any, Any]:
            # A fresh identity: the tape would count uses of the caller's own tensor inside the function too.
            first = tf.nest.map_structure(tf.identity, first)
            with tf.GradientTape() as tape:
                tape.watch(first)
                value = function(first, *rest)
            scalar = value[0] if has_aux else value
            gradients = tape.gradient(scalar, first, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            # The gradient of a gather is a tensor only once it is converted.
            return value, tf.nest.map_structure(tf.convert_to_tensor, gradients)

        return differentiated

    def stop_gradient(self, x: Any) -> Any:
        return tf.stop_gradient(x)

    def scan(self, step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any) -> tuple[Any, Any]:
        return _loop(step, carry, xs, leading(xs)) if tf.inside_function() else super().scan(step, carry, xs)

    def _stack(self, arrays: tuple[Any, ...]) -> Any:
        return tf.stack(arrays)

    def _erf(self, x: Any) -> Any:
        # The kernel has NaN at the infinities of float64; beyond 6 all is 1.
        return tf.math.erf(tf.clip_by_value(x, -_ERF_IS_ONE, _ERF_IS_ONE))

    def _erfinv(self, x: Any) -> Any:
        return refined_erfinv(x, _rough_erfinv, tf.math.erf, tf.math.erfc, tf)

    def _lgamma(self, x: Any) -> Any:
        return tf.math.lgamma(x)

    def _triangular_solve(self, a: Any, b: Any, *, lower: bool) -> Any:
        if None in (*a.shape, *b.shape):  # it would broadcast
            b = tf.reshape(b, tf.concat([tf.shape(a)[:-1], tf.shape(b)[-1:]], 0))
        return tf.linalg.triangular_solve(a, b, lower=lower)


_ERF_IS_ONE = 8.0


def _rough_erfinv(x: Any) -> Any:
    """Invert erf where the kernel is sound: it goes by (1 + x) / 2, which is 1 near 1 and forgets x near 0."""
    return tf.where(tf.abs(x) < 1e-3, x * (sqrt(pi) / 2.0), -tf.sign(x) * tf.math.erfinv(-tf.abs(x)))


def _loop(step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, xs: Any, count: int) -> tuple[Any, Any]:
    """Scan in a loop of the graph. The first step is outside it, because it tells what the steps return."""

    def apply(i: Any, carry: Any) -> tuple[Any, Any]:
        return step(carry, tf.nest.map_structure(lambda leaf: leaf[i, ...], xs))

    def body(i: Any, carry: Any, stacks: Any) -> tuple[Any, Any, Any]:
        after, y = apply(i, carry)
        # A loop accepts no shape that is less known than before.
        after = tf.nest.map_structure(lambda new, old: tf.ensure_shape(new, old.shape), after, carry)
        return i + 1, after, tf.nest.map_structure(lambda stack, part: stack.write(i, part), stacks, y)

    carry, y = apply(0, carry)
    stacks = tf.nest.map_structure(
        lambda part: tf.TensorArray(part.dtype, count, element_shape=part.shape).write(0, part), y
    )
    # XLA differentiates loops of known length only.
    _, carry, stacks = tf.while_loop(
        lambda i, *_: i < count, body, (tf.constant(1), carry, stacks), maximum_iterations=count - 1
    )
    return carry, tf.nest.map_structure(lambda stack: stack.stack(), stacks)


BACKEND = TensorFlow()
