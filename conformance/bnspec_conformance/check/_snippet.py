"""Snippet: a few lines that show a failure again, with NumPy and the adapter alone."""

from __future__ import annotations

import base64
import zlib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec_conformance.adapter import Config
    from bnspec_conformance.checks import Miss

    from ._trace import Call

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
            ("from types import SimpleNamespace", "SimpleNamespace("),
            ("import base64", "unpacked("),
            ("import zlib", "unpacked("),
            ("import ml_dtypes", "bfloat16"),
        )
        if word in text
    ]
    parts = ["\n".join(sorted(imports)), *([_UNPACK] if "unpacked(" in text else []), text]
    if found is None or miss is None:
        return "\n\n".join([*parts, f"# {message}\n"])
    place = "".join(f"[{part!r}]" for part in found[1]) + (f"[{', '.join(map(str, miss.at))}]" if miss.at else "[()]")
    right = f"{miss.expected!r} is right within {miss.bound:.3g}"
    return "\n\n".join(parts) + f'\nprint("got", result_{found[0]}{place}, "where {right}")\n'


_UNPACK = """
def unpacked(text, dtype, shape):
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype).reshape(shape)
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
    texts = [_text(value) for value in call.arguments]
    texts += [f"{key}={_text(value)}" for key, value in call.options.items()]
    name = "" if call.method == "__call__" else f".{call.method}"
    kept = "" if call.method.startswith("load") else f"result_{number} = "
    return f"{kept}{who}{name}({', '.join(texts)})"


def _config(config: Config) -> str:
    asked = getattr(config, "asked", True)  # before it is asked here
    shown = {field.name: _text(getattr(config, field.name)) for field in fields(config)}
    shown["convention"] = _namespace(config.convention) if asked else "None"
    if config.renorm is not None:
        shown["renorm"] = _namespace(config.renorm)
    if len(config.axis) == 1:
        shown["num_features"] = _text(config.num_features)
    return f"SimpleNamespace({', '.join(f'{name}={text}' for name, text in shown.items())})"


def _namespace(record: Any) -> str:
    given = {field.name: getattr(record, field.name) for field in fields(record)}
    return f"SimpleNamespace({', '.join(f'{name}={_text(value)}' for name, value in given.items())})"


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
