"""The ways in which TensorFlow runs a function: each a transformation that leaves its meaning alone."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MODES"]


def _traced(specify: Callable[[Any], Any], **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Call a function inside a ``tf.function`` whose every tensor has the shape that `specify` returns."""

    def mode(function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **kwargs: Any) -> Any:
            tensors, rebuild = _split((args, kwargs))
            signature = [tf.TensorSpec(specify(each), each.dtype) for each in tensors]
            results: list[Any] = []

            def body(*tensors: Any) -> Any:
                args, kwargs = rebuild(tensors)
                found, restore = _split(function(*args, **kwargs))
                results.append(restore)
                return found

            graph = tf.function(body, input_signature=signature, autograph=False, **options)
            found = graph(*tensors)
            return results[-1](found)

        return called

    return mode


def _split(nested: Any) -> tuple[list[Any], Callable[[Any], Any]]:
    """Take the tensors out of a nested structure, and return how to put others in their places."""
    if isinstance(nested, (list, tuple)):
        parts = [_split(item) for item in nested]
        counts = [len(tensors) for tensors, _ in parts]

        def rebuild(tensors: Any) -> Any:
            rest, items = list(tensors), []
            for count, (_, inner) in zip(counts, parts, strict=True):
                items.append(inner(rest[:count]))
                rest = rest[count:]
            return type(nested)(*items) if hasattr(nested, "_fields") else type(nested)(items)

        return [tensor for tensors, _ in parts for tensor in tensors], rebuild
    if isinstance(nested, dict):
        tensors, inner = _split(list(nested.values()))
        return tensors, lambda values: dict(zip(nested, inner(values), strict=True))
    if isinstance(nested, tf.Tensor):
        return [nested], lambda values: values[0]
    return [], lambda values: nested


def _saved(function: Callable[..., Any]) -> Callable[..., Any]:
    """Export to a SavedModel with an unknown leading size, load it, and call what was loaded."""

    def called(*args: Any, **kwargs: Any) -> Any:
        tensors, rebuild = _split((args, kwargs))
        results: list[Any] = []

        def body(*tensors: Any) -> Any:
            args, kwargs = rebuild(tensors)
            found, restore = _split(function(*args, **kwargs))
            results.append(restore)
            return found

        signature = [tf.TensorSpec(_batch_unknown(each), each.dtype) for each in tensors]
        module = tf.Module()
        module.body = tf.function(body, input_signature=signature, autograph=False)
        with tempfile.TemporaryDirectory() as folder:
            tf.saved_model.save(module, folder)
            loaded = tf.saved_model.load(folder)
            return results[-1](loaded.body(*tensors))

    return called


def _batch_unknown(tensor: Any) -> list[int | None]:
    """Return a shape without its first size: all but vectors, which are parameters, have a batch in front."""
    shape: list[int | None] = tensor.shape.as_list()
    return [None, *shape[1:]] if len(shape) > 1 else shape


def _mapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """Call by ``tf.vectorized_map`` on two equal copies of every tensor."""

    def called(*args: Any, **kwargs: Any) -> Any:
        tensors, rebuild = _split((args, kwargs))
        results: list[Any] = []

        def body(tensors: Any) -> Any:
            args, kwargs = rebuild(tensors)
            found, restore = _split(function(*args, **kwargs))
            results.append(restore)
            return found

        found = tf.vectorized_map(body, [tf.stack([each, each]) for each in tensors], fallback_to_while_loop=False)
        return results[-1]([each[1] for each in found])

    return called


MODES: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "tf.function": _traced(lambda tensor: tensor.shape),
    "tf.function, unknown dimensions": _traced(lambda tensor: [None] * tensor.shape.rank),
    "XLA": _traced(lambda tensor: tensor.shape, jit_compile=True),
    "SavedModel, unknown batch": _saved,
    "vectorized_map": _mapped,
}
