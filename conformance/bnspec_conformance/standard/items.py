"""Which function of the standard a test of array-api-tests is about, by its name alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .functions import HELPERS, LATER, NEEDED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["about", "is_needed", "standard_names"]

_HEAD = re.compile(r"[A-Za-z_][\w.]*")
_LISTED = "test_has_names.py::test_has_names["
_CONSTANTS = ("e", "inf", "nan", "newaxis", "pi")
# Tests of methods that are not named after the method.
_METHODS = {
    "getitem": "__getitem__",
    "setitem": "__setitem__",
    "dunder_dlpack": "__dlpack__",
    "dlpack_device": "__dlpack_device__",
}


def standard_names(nodeids: Iterable[str]) -> frozenset[str]:
    """List the functions of the standard, as the suite itself lists them in ``test_has_names``.

    Parameters
    ----------
    nodeids : iterable of str
        Every test that was collected.

    Returns
    -------
    frozenset of str
        ``"arange"`` of the main namespace, ``"linalg.slogdet"`` of an extension; none of the array object.
    """
    listed = (_listed(nodeid.rpartition("[")[2].removesuffix("]")) for nodeid in nodeids if _LISTED in nodeid)
    return frozenset(name for name in listed if not name.startswith("Array.")) | LATER | set(_CONSTANTS)


def about(nodeid: str, known: Collection[str]) -> str | None:
    """Determine the function that a test is about.

    Parameters
    ----------
    nodeid : str
        The test, as pytest names it.
    known : collection of str
        As of :func:`standard_names`.

    Returns
    -------
    str or None
        One of `known`, or ``"Array."`` and the name of a method or an attribute of the array object, or None where
        the name of the test does not tell.
    """
    path, _, rest = nodeid.partition("::")
    test, _, parameters = rest.partition("[")
    group, _, test = test.rpartition("::")
    module, test = path.rpartition("/")[2].removesuffix(".py"), test.removeprefix("test_")
    found = _HEAD.match(parameters)
    head = found[0] if found else ""
    if module == "test_has_names":
        return _listed(parameters.removesuffix("]"))
    if module == "test_inspection_functions" or test == "info_func_signature":
        return "__array_namespace_info__"
    if head in known:
        return head
    if head.startswith("__") or test == "array_method_signature":
        return f"Array.{head}"
    if module in ("test_array_object", "test_dlpack"):
        method = next((method for name, method in _METHODS.items() if test.startswith(name)), None)
        if method is not None:
            return f"Array.{method}"
    if group:  # TestExpandDims
        test = re.sub("(?<=[a-z])(?=[A-Z])", "_", group.removeprefix("Test")).lower()
    return _longest(module, head if test == "shift_func" else test, known)


def is_needed(function: str | None, functions: Collection[str] = frozenset()) -> bool:
    """Tell whether a test is kept.

    Parameters
    ----------
    function : str or None
        As of :func:`about`.
    functions : collection of str
        Functions that are wanted beyond the needed ones.

    Returns
    -------
    bool
        True for the needed functions, for what comes with them, for everything of the array object, and where it is
        not known what the test is about.
    """
    if function is None or function.startswith("Array."):
        return True
    return function in NEEDED or function in HELPERS or function in functions


def _listed(parameters: str) -> str:
    """Read ``category-name`` of test_has_names."""
    category, _, name = parameters.partition("-")
    if category in ("linalg", "fft"):
        return f"{category}.{name}"
    return f"Array.{name}" if category.startswith("array_") else name


def _longest(module: str, test: str, known: Collection[str]) -> str | None:
    """Find the function whose name is the test's, or begins it: searchsorted_with_scalars is about searchsorted."""
    spellings = {name.replace(".", "_"): name for name in known}
    # test_matmul is about the main namespace though it stands in test_linalg.py; test_slogdet is not.
    for given in (test, f"{module.removeprefix('test_')}_{test}"):
        matching = [spelling for spelling in spellings if f"{given}_".startswith(f"{spelling}_")]
        if matching:
            return spellings[max(matching, key=len)]
    return None
