"""What the peers on TensorFlow have in common: second derivatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

__all__ = ["second"]


def second(forward: Callable[[Any], Any], x: Array, cotangent: Array, tangent: Array) -> Array:
    """Differentiate with a tape inside a tape."""
    import tensorflow as tf  # noqa: PLC0415 - when it is needed

    given = tf.constant(x)
    with tf.GradientTape() as outer:
        outer.watch(given)
        with tf.GradientTape() as inner:
            inner.watch(given)
            y = forward(given)
        gradient = inner.gradient(y, given, output_gradients=tf.constant(cotangent))
    return np.array(outer.gradient(gradient, given, output_gradients=tf.constant(tangent)).numpy())
