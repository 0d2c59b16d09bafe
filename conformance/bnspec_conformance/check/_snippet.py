"""Snippet: a few lines that show a failure again, with NumPy and the adapter alone."""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from ._trace import address, owner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec_conformance.adapter import Config
    from bnspec_conformance.checks import Miss

    from ._trace import Call

    Array = np.ndarray[Any, Any]

__all__ = ["snippet"]

# Arrays of up to so many elements are written out; the bytes of others are.
_SHOWN = 24


def snippet(path: str, calls: Sequence[Call], miss: Miss | None, message: str) -> str:
    """Write the calls of a trace as a program.

    Parameters
    ----------
    path : str
        ``module:attribute`` of the adapter.
    calls : sequence of Call
        What was asked, up to the failure.
    miss : Miss or None
        The number that is wrong, where it is a number.
    message : str
        What must be so.

    Returns
    -------
    str
        Python that prints what came beside what must come.
    """
    module, _, attribute = path.partition(":")
    found = None if miss is None else _place(calls, miss.seen)
    last = len(calls) if found is None else found[0] + 1
    body = []
    for number, call in enumerate(calls[:last]):
        made = sum(other.method in ("", "compile") for other in calls[:number])
        body.append(_line(attribute, number, call, made))
    text = "\n".join(body)
    imports = ["import numpy as np", f"from {module} import {attribute}"]
    imports += [
        line
        for line, word in (
            ("from dataclasses import make_dataclass", "(config("),
            ("import base64", "unpacked("),
            ("import zlib", "unpacked("),
            ("import ml_dtypes", "bfloat16"),
        )
        if word in text
    ]
    helpers = [
        helper
        for helper, word in ((_UNPACK, "unpacked("), (_CONFIG, "(config("), (_RECORD, "=record("))
        if word in text
    ]
    parts = ["\n".join(sorted(imports)), *helpers, text]
    if found is None or miss is None:
        return "\n\n".join([*parts, f"# {message}\n"])
    place = "".join(f"[{part!r}]" for part in found[1]) + (f"[{', '.join(map(str, miss.at))}]" if miss.at else "[()]")
    right = f"{miss.expected!r} is right within {miss.bound:.3g}"
    return "\n\n".join(parts) + f'\nprint("got", result_{found[0]}{place}, "where {right}")\n'


_UNPACK = """
def unpacked(text, dtype, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape).copy()
"""

# Frozen dataclasses with the fields of ours: an adapter may replace some of them.
_CONFIG = """
def config(**values):
    features = property(lambda self: self.shape[self.axis[0]])
    return make_dataclass("Config", values, frozen=True, namespace={"num_features": features})(**values)
"""
_RECORD = """
def record(kind, /, **values):
    return make_dataclass(kind, values, frozen=True)(**values)
"""


def _place(calls: Sequence[Call], seen: Any) -> tuple[int, tuple[Any, ...]] | None:
    """Find the last call that gave an array, and where in its result the array is: it may give the same one again."""
    for number in range(len(calls) - 1, -1, -1):
        call = calls[number]
        if call.result is seen:
            return number, ()
        if isinstance(call.result, (tuple, list)):
            for index, part in enumerate(call.result):
                if part is seen:
                    return number, (index,)
        if isinstance(call.result, dict):
            for key, part in call.result.items():
                if part is seen:
                    return number, (key,)
    return None


def _line(attribute: str, number: int, call: Call, made: int) -> str:
    """Write one call, before which so many layers have been made."""
    if not call.method:
        return f"layer_{call.layer} = {attribute}({_config(call.arguments[0])})"
    who = attribute if call.layer < 0 else f"layer_{call.layer}"
    if call.method == "compile":
        return f"layer_{made} = {who}.compile()"
    before, names = prepared(number, [*call.arguments, *call.options.values()])
    texts = [names.get(id(value)) or _text(value) for value in call.arguments]
    texts += [f"{key}={names.get(id(value)) or _text(value)}" for key, value in call.options.items()]
    name = "" if call.method == "__call__" else f".{call.method}"
    kept = "" if call.method.startswith("load") else f"result_{number} = "
    return "\n".join([*before, f"{kept}{who}{name}({', '.join(texts)})"])


def prepared(number: int, values: Sequence[Any]) -> tuple[list[str], dict[int, str]]:
    """Write the arrays of a call that are more than their numbers: shared, views, in another order, or read-only.

    Parameters
    ----------
    number : int
        Of the call.
    values : sequence
        Its arguments.

    Returns
    -------
    lines : list of str
        What makes them.
    names : dict
        What they are called, by their ids.
    """
    arrays = [value for value in values if isinstance(value, np.ndarray) and value.size]
    owners = Counter(id(owner(value)) for value in arrays)
    lines: list[str] = []
    names: dict[int, str] = {}
    for value in arrays:
        memory = owner(value)
        plain = value is memory and value.flags.c_contiguous and value.flags.writeable
        if id(value) in names or (plain and owners[id(memory)] == 1):
            continue
        if id(memory) not in names:
            names[id(memory)] = f"array_{number}_{len(names)}"
            lines.append(f"{names[id(memory)]} = {_owned(memory)}")
        if value is not memory:
            names[id(value)] = f"array_{number}_{len(names)}"
            lines.append(f"{names[id(value)]} = {_viewed(value, memory, names[id(memory)])}")
    kept = {id(value): value for value in arrays if not value.flags.writeable and id(value) in names}
    return lines + [f"{names[each]}.flags.writeable = False" for each in kept], names


def _owned(memory: Array) -> str:
    """Write an array that owns its memory, in the order of its axes there."""
    order = np.argsort([-step for step in memory.strides], kind="stable")
    if memory.flags.c_contiguous or (order == range(memory.ndim)).all():
        return _text(memory)
    return f"{_text(memory.transpose(order))}.transpose({tuple(map(int, np.argsort(order)))})"


def _viewed(value: Array, memory: Array, name: str) -> str:
    """Write a view: as slices where it is one, and by its strides where not."""
    offset = left = address(value) - address(memory)
    slices = [slice(None)] * memory.ndim
    if value.ndim == memory.ndim:
        for axis in np.argsort([-step for step in memory.strides], kind="stable"):
            begin, left = divmod(left, memory.strides[axis])
            step = value.strides[axis] // memory.strides[axis] or 1
            end = begin + step * value.shape[axis]
            slices[axis] = slice(begin, end if end >= 0 else None, step)
        shown = memory[tuple(slices)]
        if (shown.shape, shown.strides, address(shown)) == (value.shape, value.strides, address(value)):
            return f"{name}[{', '.join(_slice(*each) for each in zip(slices, memory.shape, strict=True))}]"
    given = f'{value.shape}, "{value.dtype.name}", {name}.ravel("K"), {offset}, {value.strides}'
    return f"np.ndarray({given})"


def _slice(each: slice, size: int) -> str:
    begin, end, step = each.start, each.stop, each.step
    whole = (0, None) if step > 0 else (size - 1, None)
    end = None if step > 0 and end >= size else end
    first = "" if begin == whole[0] else begin
    last = "" if end is None else end
    return f"{first}:{last}" + ("" if step == 1 else f":{step}")


def _config(config: Config) -> str:
    asked = getattr(config, "asked", True)  # before it is asked here
    shown = {field.name: _text(getattr(config, field.name)) for field in fields(config)}
    shown["convention"] = _record(config.convention) if asked else "None"
    if config.renorm is not None:
        shown["renorm"] = _record(config.renorm)
    return f"config({', '.join(f'{name}={text}' for name, text in shown.items())})"


def _record(value: Any) -> str:
    given = {field.name: getattr(value, field.name) for field in fields(value)}
    parts = (f"{name}={_text(each)}" for name, each in given.items())
    return f'record("{type(value).__name__}", {", ".join(parts)})'


def _text(value: Any) -> str:
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value}")'
    if not isinstance(value, np.ndarray):
        return repr(value)
    if not value.size:
        return f'np.zeros({value.shape}, "{value.dtype.name}")'
    if value.size <= _SHOWN and value.dtype.name in ("float16", "float32", "float64") and np.isfinite(value).all():
        return f'np.asarray({value.tolist()!r}, "{value.dtype.name}")'
    wide = value if value.dtype.kind in "fbiu" else value.astype(np.float32)
    text = base64.b64encode(zlib.compress(np.ascontiguousarray(wide).tobytes(), 9)).decode()
    back = "" if wide is value else f".astype({value.dtype.name!r})"
    return f'unpacked("{text}", "{wide.dtype.name}", {value.shape}){back}'
