"""The section of the documentation on accuracy and gradients, made from the result that is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec_conformance.bounds import function_goal
from bnspec_conformance.report.document import section, table

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MISSED", "SECTION", "failures", "made"]

SECTION = "functions"

MISSED: dict[tuple[str, str, str], str] = {
    ("expm1", "float32", "tensorflow, XLA"): "XLA's own between -0.5 and 0.5, 4.9 on more points; 3.4 without XLA.",
}
"""By function, dtype and column, where TensorFlow misses the goal, and why. What is not missed must not be here."""

_TITLES = {
    "tensorflow": "TensorFlow",
    "tensorflow, tf.function, unknown dimensions": "unknown dimensions",
    "tensorflow, XLA": "XLA",
    "numpy": "NumPy",
    "torch": "torch",
    "jax:x64": "JAX",
}
_ACCURACY = """The largest error of every real elementwise function, in units in the last place of the exact result,
float32 / float64, on some {points} points for each function and dtype, against mpmath. The points are all over the
format and crowded where digits are lost: log near 1, log1p and expm1 near 0, log1p between -0.45 and -0.3, where XLA's
own loses 7 bits in float64, atanh near 0, 0.4 and 1, acosh near 1, sine and cosine up to 1e5 (float32) and 1e9
(float64) and next to multiples of pi/2, powers with large exponents, hypot with extreme ratios and next to overflow,
logaddexp with equal, opposite and far arguments, remainder with huge quotients.
All arguments are normal numbers, and the divisors of huge quotients so large that what is left over need not be less.
An exact result below the smallest normal number may be any number of at most that size, as some frameworks flush to
zero; infinity counts as the first number out of range. The goal is {goal:g}, for tanh {tanh:g}; the unit of logaddexp
is that of max(1, |result|). **Bold** is beyond the goal, which is set for TensorFlow."""
_GRADIENTS = """The gradient of a weighted sum of the result, in float64, by each framework's automatic differentiation
against finite differences: of mpmath with 512 bits for elementwise functions, of long double for the others. Errors are
relative to the largest derivative and the largest weight together. TensorFlow's is the worst of eager,
`tf.function` with unknown dimensions, and XLA, where it can be: unstack needs known sizes, and linalg.slogdet has no
kernel in XLA. **Bold** is beyond the tolerance,
`bnspec_conformance.bounds.function_gradient`, or not the derivative at all."""
_KINKS = """At these points there is no derivative, or no finite one; this is what each framework returns, without the
weights, for each argument. `None` is TensorFlow's word for a result that does not depend on the argument."""


def failures(result: dict[str, Any]) -> list[str]:
    """List what is out of place on TensorFlow.

    Parameters
    ----------
    result : dict
        What is kept.

    Returns
    -------
    list of str
        A goal that is missed without a declaration, a declaration without a miss, a gradient that is wrong.
    """
    found = []
    for row in result["accuracy"]:
        for column, dtypes in row["columns"].items():
            for dtype, cell in dtypes.items():
                if not column.startswith("tensorflow"):
                    continue
                over = float(cell["error"]) > function_goal(row["function"])
                if over != ((row["function"], dtype, column) in MISSED):
                    found.append(f"{row['function']}, {dtype}, {column}: {cell['error']} ulp at {cell['at']}")
    for row in result["gradients"]:
        for column, cell in row["columns"].items():
            if column.startswith("tensorflow") and row["kind"] != "kink" and not float(cell["ratio"]) <= 1.0:
                found.append(f"gradient of {_name(row)}, {column}: {cell['error']}")
    return found


def made(result: dict[str, Any]) -> str:
    """Render the section.

    Parameters
    ----------
    result : dict
        What is kept.

    Returns
    -------
    str
        Markdown, from the first marker to the last.
    """
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    accuracy = _ACCURACY.format(points=result["points"], goal=function_goal(""), tanh=function_goal("tanh"))
    missed = [f"- `{name}`, {dtype}, {_TITLES[column]}: {why}" for (name, dtype, column), why in MISSED.items()]
    parts = [
        "## Accuracy of the functions",
        accuracy,
        *(["Where TensorFlow misses the goal:", "\n".join(missed)] if missed else []),
        _accuracy_table(result["accuracy"]),
        "## Gradients of the functions",
        _GRADIENTS,
        _gradient_table(row for row in result["gradients"] if row["kind"] != "kink"),
        "### Kinks",
        _KINKS,
        _kink_table(row for row in result["gradients"] if row["kind"] == "kink"),
        f"Measured with {versions}.",
    ]
    return section(SECTION, "nox -s functions", parts)


def _accuracy_table(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0]["columns"])
    lines = []
    for row in rows:
        goal = function_goal(row["function"])
        cells = [" / ".join(_ulp(cell["error"], goal) for cell in row["columns"][each].values()) for each in columns]
        lines.append([f"`{row['function']}`", *cells])
    return table(["function", *(_TITLES[column] for column in columns)], lines)


def _gradient_table(rows: Iterable[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        own = [cell for column, cell in row["columns"].items() if column.startswith("tensorflow")]
        worst = max(own, key=lambda cell: float(cell["ratio"]))
        verdict = "right" if float(worst["ratio"]) <= 1.0 else "**wrong**"
        others = (_relative(row["columns"][name]) for name in ("jax:x64", "torch"))
        lines.append([_name(row, mark=True), _relative(worst), *others, verdict])
    return table(["function", "TensorFlow", "JAX", "torch", "verdict on TensorFlow"], lines)


def _kink_table(rows: Iterable[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        columns = ("tensorflow", "tensorflow, XLA", "jax:x64", "torch")
        lines.append([_name(row, mark=True), *(_derivatives(row["columns"][name]) for name in columns)])
    return table(["function", "TensorFlow", "XLA", "JAX", "torch"], lines)


def _name(row: dict[str, Any], *, mark: bool = False) -> str:
    function = f"`{row['function']}`" if mark else row["function"]
    return f"{function}, {row['at']}" if row["at"] else function


def _ulp(error: float | str, goal: float) -> str:
    shown = f"{float(error):.2f}" if float(error) < 1000.0 else f"{float(error):.0e}"
    return f"**{shown}**" if float(error) > goal else shown


def _relative(cell: dict[str, Any]) -> str:
    if "refused" in cell:
        return "refused"
    shown = f"{float(cell['error']):.0e}" if float(cell["error"]) else "0"
    return shown if float(cell["ratio"]) <= 1.0 else f"**{shown}**"


def _derivatives(cell: dict[str, Any]) -> str:
    if "refused" in cell:
        return "refused"
    parts = ("None" if part is None else ", ".join(f"{float(x):g}" for x in part) for part in cell["derivatives"])
    return "; ".join(parts)
