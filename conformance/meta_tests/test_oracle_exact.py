"""Exact numbers of the first oracle, and what the oracle imports and exports."""

from __future__ import annotations

import ast
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from bnspec_conformance import oracle
from bnspec_conformance.oracle import Exact

from .oracle_helpers import BFLOAT16, DTYPES, draw, held, number


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_finite_bit_pattern_is_read_exactly(dtype):
    pattern = np.random.default_rng(1).integers(0, 2 ** (8 * dtype.itemsize), 500, dtype=np.uint64)
    values = pattern.astype(f"u{dtype.itemsize}").view(dtype)
    with np.errstate(invalid="ignore"):  # ml_dtypes warns of signalling NaN
        values = values[np.isfinite(values)]
    assert held(Exact.from_floats(values)) == [number(v) for v in values]


@pytest.mark.parametrize(
    ("dtype", "text"),
    list(zip(DTYPES, ["0x1p-24", "0x1p-133", "0x1p-149", "0x1p-1074"], strict=True)),
    ids=str,
)
def test_the_least_subnormal_is_read_exactly(dtype, text):
    least = np.asarray([1], dtype=f"u{dtype.itemsize}").view(dtype)
    assert held(Exact.from_floats(least)) == [Fraction(float.fromhex(text))]
    assert held(Exact.from_floats(-3 * least)) == [-3 * Fraction(float.fromhex(text))]


@pytest.mark.parametrize("exponent", [1, 8, 9, 10, 11, 20, 62, 63, 64, 70])
def test_numbers_of_unlike_size_share_one_grid(exponent):
    values = np.asarray([1 + 2.0**-52, -(2 - 2.0**-52) * 2.0**exponent])
    assert held(Exact.from_floats(values)) == [Fraction(v) for v in values.tolist()]


def test_extremes_of_float64_share_one_grid():
    values = np.asarray([np.finfo(np.float64).max, -5e-324, 0.0, -0.0, 1.0])
    assert held(Exact.from_floats(values)) == [Fraction(v) for v in values.tolist()]
    np.testing.assert_array_equal(Exact.from_floats(values).to_float(), values)


def test_memory_layout_does_not_matter():
    values = draw(2, (4, 6), np.float32)
    expected = [number(v) for v in values[::2, ::-3].ravel()]
    assert held(Exact.from_floats(values[::2, ::-3])) == expected
    assert held(Exact.from_floats(values[::2, ::-3].astype(">f4"))) == expected
    assert held(Exact.from_floats(np.asfortranarray(values[::2, ::-3]))) == expected


def test_scalar_and_empty_arrays_keep_their_shapes():
    scalar = Exact.from_floats(np.asarray(0.75))
    assert (scalar.shape, held(scalar)) == ((), [Fraction(3, 4)])
    assert scalar.to_float().shape == scalar.error(np.asarray(0.5)).shape == ()
    assert float(scalar.error(np.asarray(0.5))) == 0.25
    none = Exact.from_floats(np.zeros((0, 3), np.float32))
    assert none.shape == none.to_float().shape == none.error(np.zeros((0, 3))).shape == (0, 3)


def test_numbers_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"requires finite numbers\. Got nan at index \(1, 0\)\."):
        Exact.from_floats(np.asarray([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match=r"Got -inf at index \(0,\)\."):
        Exact.from_floats(np.asarray([-np.inf], BFLOAT16))
    for pattern in (0x7F81, 0x7FC0):  # signalling and quiet NaN
        with pytest.raises(ValueError, match=r"Got nan at index \(\)\."):
            Exact.from_floats(np.asarray(pattern, np.uint16).view(BFLOAT16))
    with pytest.raises(TypeError, match=r"dtype must be one of float16, .*float64\. Got dtype=int64\."):
        Exact.from_floats(np.asarray([1]))


@pytest.mark.parametrize(
    "value",
    [Fraction(1, 3), Fraction(-(2**53) - 1), Fraction(3, 2**1075), Fraction(1, 2**1076), 2 ** Fraction(1023)],
    ids=str,
)
def test_to_float_rounds_to_nearest(value):
    bits = 1100
    exact = Exact(np.asarray([round(Fraction(value) * 2**bits)], dtype=object), bits)
    assert exact.to_float().tolist() == [float(held(exact)[0])]


def test_fractions_are_rounded_to_nearest():
    values = [Fraction(n, d) for n in (-2, -1, 1, 2) for d in (3, 7, 10**30)]
    exact = Exact.from_fractions(np.asarray(values))
    assert exact.bits >= 192 + 99
    assert all(abs(s - v) <= Fraction(1, 2 ** (exact.bits + 1)) for s, v in zip(held(exact), values, strict=True))
    assert Exact.from_fractions(np.asarray([Fraction(1)]), at_least=500).bits == 500


def test_to_float_beyond_the_largest_float64_is_infinite():
    assert Exact(np.asarray([2**1030, -(2**1030)], dtype=object), 3).to_float().tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_error_is_subtracted_before_it_is_rounded(dtype):
    exact = Exact.from_fractions(np.asarray([[Fraction(1, 3), Fraction(-2, 7)], [Fraction(), Fraction(100)]]))
    seen = np.asarray([[0.333, -0.2857], [1e-7, 100.0]]).astype(dtype)
    expected = [float(abs(number(s) - e)) for s, e in zip(seen.ravel(), held(exact), strict=True)]
    assert exact.error(seen).ravel().tolist() == expected
    assert exact.error(seen).dtype == np.float64
    assert exact.error(seen)[1, 1] == 0.0


def test_error_sees_differences_far_below_the_grid_and_the_float64_spacing():
    one = Exact(np.asarray([1], dtype=object), 0)
    assert one.error(np.asarray([1 + 2.0**-52])).tolist() == [2.0**-52]
    zero = Exact(np.asarray([0], dtype=object), 0)
    assert zero.error(np.asarray([5e-324])).tolist() == [5e-324]
    third = Exact.from_fractions(np.asarray([Fraction(1, 3)]))
    assert 0 < third.error(np.asarray([1 / 3]))[0] < 2.0**-54


def test_error_is_infinite_where_the_result_is_not_finite():
    exact = Exact.from_floats(np.asarray([1.0, 2.0, 3.0, np.finfo(np.float64).max]))
    seen = np.asarray([np.nan, np.inf, 3.5, -np.finfo(np.float64).max])
    assert exact.error(seen).tolist() == [np.inf, np.inf, 0.5, np.inf]
    signalling = np.asarray([0x7F81, 0xFF80, 0x4060, 0x7FC0], np.uint16).view(BFLOAT16)
    assert exact.error(signalling).tolist() == [np.inf, np.inf, 0.5, np.inf]


def test_error_does_not_broadcast():
    exact = Exact.from_floats(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"the exact result's shape \(2, 3\)\. Got shape=\(3,\)\."):
        exact.error(np.zeros(3))
    with pytest.raises(TypeError, match=r"Got dtype=complex128\."):
        exact.error(np.zeros((2, 3), np.complex128))


def runtime_imports(path):
    """List the top-level packages that a module imports when it runs; what only types need is left out."""
    tree = ast.parse(path.read_text())
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "").split(".")[0]


# The second oracle; all other modules in the folder are the first.
FORWARD = {"_forward", "_forward_averages", "_forward_layer", "_forward_mode", "_forward_parts"}
SECOND = {"multiprecision", "_dual", "_jacobian"} | FORWARD
# Exponentials and logarithms are not fractions: what flows are made of is computed in many digits, beside the first.
FLOWS = {"_autoregressive", "_batch_bijector", "_bijectors", "_coupling", "_densities", "_multiple", "_normals"} | {
    "_spline_parameters",
    "_splines",
}


def test_the_oracle_imports_nothing_that_it_judges():
    paths = list(Path(oracle.__file__).parent.glob("*.py"))
    stems = {path.stem for path in paths}
    assert stems >= SECOND | FLOWS
    first = stems - SECOND - FLOWS
    for group, others, foreign in (
        (first, FLOWS, {"numpy"}),
        (FLOWS, first, {"numpy", "mpmath"}),
        (SECOND, set(), {"numpy", "mpmath"}),
    ):
        seen = {name for path in paths if path.stem in group for name in runtime_imports(path)}
        # Neither oracle imports the other: what one gets wrong, the other shall not repeat.
        own = {f".{stem}" for stem in group | others}
        assert seen - own - set(sys.stdlib_module_names) == foreign


def test_public_names():
    # Where pytest rewrites assertions, the names that it adds start with "@". The second oracle is an attribute
    # of the package once something has imported it, and is not exported.
    assert {name for name in vars(oracle) if name[0] not in "_@"} - {"multiprecision"} == set(oracle.__all__)
