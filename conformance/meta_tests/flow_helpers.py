"""What the tests of bijectors share: points, exact numbers, and one comparison."""

from itertools import pairwise

import ml_dtypes
import mpmath
import numpy as np
from mpmath import mpf

from bnspec_conformance.checks import Checks

DTYPES = ("float16", "bfloat16", "float32", "float64")


METHODS = ("forward", "inverse", "forward_log_det", "inverse_log_det")


CLOSE = mpf(2) ** -180


def make(values, dtype):
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def numbers(exact):
    with mpmath.workprec(3000):
        return [mpf(n) / mpf(2) ** exact.bits for n in exact.numerators.ravel().tolist()]


def require(what, seen, exact, bound, dtype):
    checks = Checks()
    checks.close(what, np.asarray(seen), exact, np.asarray(bound), dtype)
    return checks


def signs(values):
    return np.concatenate([values, -values])


DRAW = np.random.default_rng(3)


EXTREME = [88.0, 88.6, 89.0, 104.0, 709.5, 745.0, 1e10, 3e38, 1e-38, 1e-39, 1e-45, 1e308, 1e-308, 5e-324]
REAL = signs(np.concatenate([10.0 ** DRAW.uniform(-30, 3, 60), DRAW.uniform(0, 12, 60), EXTREME]))


UNIT = np.concatenate(
    [DRAW.uniform(0, 1, 60), 10.0 ** DRAW.uniform(-20, -0.3, 30), 1 - 10.0 ** DRAW.uniform(-6, -1, 30)]
)


POSITIVE = np.concatenate([np.abs(REAL[:122]), 1.0 + UNIT / 8])


# name, parameters, points of x, points of y
BIJECTORS = {
    "Identity": ("Identity", {}, REAL, REAL),
    "Shift": ("Shift", {"shift": -1.7}, REAL, REAL),
    "Scale": ("Scale", {"scale": -1.7}, REAL, REAL),
    "Scale by a logarithm": ("Scale", {"log_scale": -3.3}, REAL, REAL),
    "Exp": ("Exp", {}, REAL, POSITIVE),
    "Log": ("Log", {}, POSITIVE, REAL),
    "Reciprocal": ("Reciprocal", {}, REAL, REAL),
    "Sigmoid": ("Sigmoid", {}, REAL, UNIT),
    "Sigmoid between": ("Sigmoid", {"low": -1.5, "high": 3.25}, REAL, UNIT * 4.75 - 1.5),
    "Softplus": ("Softplus", {}, REAL, POSITIVE),
    "Softplus hinge": ("Softplus", {"hinge_softness": 0.7, "low": -2.0}, REAL, POSITIVE - 2.0),
    "Softplus below": ("Softplus", {"hinge_softness": -0.7}, REAL, -POSITIVE),
    "Tanh": ("Tanh", {}, REAL, signs(UNIT)),
}


def points(name, method, dtype):
    kind, parameters, x, y = BIJECTORS[name]
    given = make(x if method.startswith("forward") else y, dtype)
    parameters = {key: make(value, dtype) for key, value in parameters.items()}
    size = given.astype(np.float64)
    fit = np.isfinite(size) & ((size != 0) | (kind not in {"Log", "Exp", "Reciprocal"}))
    if method.startswith("inverse"):
        low, high = (
            parameters.get(key, default).astype(np.float64) if key in parameters else default
            for key, default in (("low", 0.0), ("high", 1.0))
        )
        if kind == "Sigmoid":
            fit &= (size > low) & (size < high)
        if kind == "Softplus":
            c = float(parameters.get("hinge_softness", 1.0))
            fit &= (size - low) * c > 0
        if kind == "Tanh":
            fit &= np.abs(size) < 1
    return given[fit], parameters


LAYOUTS = [
    ((3, 4), (1,), 1),
    ((4, 2, 2, 3), (-1,), 3),
    ((3, 2, 2, 2), (1,), 3),
    ((3, 3, 2, 2), (1, 3), 3),
    ((2, 3, 2), (0, 2), 2),
    ((5, 3), (-1,), 2),
]


def batch(shape, axis, dtype=np.float64):
    draw = np.random.default_rng(len(shape) + shape[1])
    parameter = (shape[axis[0]],) if len(axis) == 1 else tuple(n if i in axis else 1 for i, n in enumerate(shape))
    gamma, beta, mean = (draw.normal(0.0, 2.0, parameter).astype(dtype) for _ in range(3))
    y, variance = draw.normal(3.0, 2.0, shape).astype(dtype), draw.uniform(0.1, 3.0, parameter).astype(dtype)
    pair = (
        draw.normal(1.0, 0.2, shape).astype(dtype),
        draw.normal(0.0, 0.2, (shape[0], *(1,) * (len(shape) - 1))).astype(dtype),
    )
    return y, gamma, beta, mean, variance, pair


NORMAL = ("log_prob", "prob", "cdf", "log_cdf", "survival", "log_survival")


def network(dtype, inputs, outputs):
    draw = np.random.default_rng(17)
    sizes = [inputs, 6, 5, outputs]
    return [
        (make(draw.normal(0, 0.6, pair), dtype), make(draw.normal(0, 0.6, pair[1]), dtype)) for pair in pairwise(sizes)
    ]
