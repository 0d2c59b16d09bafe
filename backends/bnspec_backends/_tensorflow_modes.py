"""The ways in which TensorFlow runs a function: each a transformation that leaves its meaning alone."""

from __future__ import annotations

import tempfile
from functools import partial
from typing import TYPE_CHECKING, Any

import tensorflow as tf

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MODES"]


_KEPT = 1000  # graphs of one function
_VALUES = (int, float, complex, str, type(None), type(...), slice, tf.DType)


def _by_signature(
    specify: Callable[[Any], Any], make: Callable[[Callable[..., Any], Any], Callable[..., Any]]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Turn a function into what `make` makes of it, once for each signature of tensors of the shapes of `specify`."""

    def mode(function: Callable[..., Any]) -> Callable[..., Any]:
        graphs: dict[Any, Any] = {}

        def called(*args: Any, **kwargs: Any) -> Any:
            tensors, rebuild = _split((args, kwargs))
            signature = [tf.TensorSpec(specify(each), each.dtype) for each in tensors]
            # A graph serves other tensors too, if all else is the same.
            known, rest = _described((args, kwargs))
            key = (rest, tuple(signature))
            if not known or key not in graphs:
                restores: list[Any] = []
                graphs[key] = make(_body(function, rebuild, restores), signature), restores
                if len(graphs) > _KEPT:
                    graphs.pop(next(iter(graphs)))
            graph, restores = graphs[key]
            found = graph(*tensors)
            return restores[-1](found)

        return called

    return mode


def _body(function: Callable[..., Any], rebuild: Callable[[Any], Any], restores: list[Any]) -> Callable[..., Any]:
    """Turn a function into one of tensors alone; how its result is put together again comes into `restores`."""

    def body(*tensors: Any) -> Any:
        args, kwargs = rebuild(tensors)
        found, restore = _split(function(*args, **kwargs))
        restores.append(restore)
        return found

    return body


def _described(nested: Any) -> tuple[bool, str]:
    """Write down everything but the tensors, and whether that says all."""
    if isinstance(nested, (list, tuple)):
        parts = [_described(item) for item in nested]
        text = f"{type(nested).__qualname__}({', '.join(text for _, text in parts)})"
        return all(known for known, _ in parts), text
    if isinstance(nested, dict):
        known, text = _described(list(nested.values()))
        return known, f"{list(nested)} {text}"
    return isinstance(nested, (*_VALUES, tf.Tensor)), "." if isinstance(nested, tf.Tensor) else repr(nested)


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


def _traced(body: Callable[..., Any], signature: Any, **options: Any) -> Callable[..., Any]:
    """Make a ``tf.function``."""
    graph: Callable[..., Any] = tf.function(body, input_signature=signature, autograph=False, **options)
    return graph


def _saved(body: Callable[..., Any], signature: Any) -> Callable[..., Any]:
    """Export to a SavedModel, and load it."""
    module = tf.Module()
    module.body = _traced(body, signature)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder)
        graph: Callable[..., Any] = tf.saved_model.load(folder).body
    return graph


def _mapped(body: Callable[..., Any], signature: Any) -> Callable[..., Any]:
    """Call by ``tf.vectorized_map`` on two equal copies of every tensor."""

    def twice(*tensors: Any) -> Any:
        copies = [tf.stack([each, each]) for each in tensors]
        found = tf.vectorized_map(lambda tensors: body(*tensors), copies, fallback_to_while_loop=False)
        return [each[1] for each in found]

    # The map itself is a graph: without one around it, it is vectorized again at each call.
    return _traced(twice, signature)


def _known(tensor: Any) -> Any:
    """Return the shape."""
    return tensor.shape


def _unknown(tensor: Any) -> list[None]:
    """Return a shape without sizes."""
    return [None] * int(tensor.shape.rank)


def _batch_unknown(tensor: Any) -> list[int | None]:
    """Return a shape without its first size: all but vectors, which are parameters, have a batch in front."""
    shape: list[int | None] = tensor.shape.as_list()
    return [None, *shape[1:]] if len(shape) > 1 else shape


MODES: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
    "tf.function": _by_signature(_known, _traced),
    "tf.function, unknown dimensions": _by_signature(_unknown, _traced),
    "XLA": _by_signature(_known, partial(_traced, jit_compile=True)),
    "SavedModel, unknown batch": _by_signature(_batch_unknown, _saved),
    "vectorized_map": _by_signature(_known, _mapped),
}
