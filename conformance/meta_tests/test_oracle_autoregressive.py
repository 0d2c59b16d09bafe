"""The oracle of autoregressive flows: its masks by hand and by paths, and both directions."""

from itertools import pairwise

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from bnspec_conformance import oracle
from bnspec_conformance.oracle import Exact
from bnspec_conformance.oracle.multiprecision import log_abs_det

from .flow_helpers import CLOSE, numbers


def flow(order, *hidden, outputs="both", activation="tanh", context=None):
    """A flow of drawn weights."""
    draw = np.random.default_rng(len(order) + len(hidden))
    sizes = (len(order), *hidden, len(order) * (2 if outputs == "both" else 1))
    layers = tuple(
        (
            draw.normal(0.1, 0.6, (before, after)),
            draw.normal(0.2, 0.4, after),
            None if context is None else draw.normal(0.3, 0.5, (context.shape[-1], after)),
        )
        for before, after in pairwise(sizes)
    )
    return oracle.AutoregressiveFlow(tuple(order), layers, activation, outputs, context)


def test_masks_by_hand():
    first, last = oracle.autoregressive_masks((2, 1, 3), [4], 2)
    # Units 1 and 2 see the input at the first place, units 3 and 4 that at the second, too.
    assert first.astype(int).tolist() == [[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]]
    assert last.astype(int).tolist() == [[1, 1, 0, 0, 1, 1]] * 2 + [[0, 0, 0, 0, 1, 1]] * 2
    assert oracle.autoregressive_masks((1, 2), [], 1)[0].astype(int).tolist() == [[0, 1], [0, 0]]
    assert [mask.tolist() for mask in oracle.autoregressive_masks((1,), [2], 1)] == [[[False] * 2], [[True]] * 2]


def test_a_layer_sees_no_less_than_the_one_before():
    """Of 7 inputs, one unit sees 3 at least, so that the narrow layers after it must see these."""
    masks = oracle.autoregressive_masks(range(1, 8), [1, 6], 1)
    assert masks[0][:, 0].tolist() == [True] * 3 + [False] * 4
    assert masks[1].all()


@pytest.mark.parametrize("order", [(1, 2, 3, 4, 5), (5, 4, 3, 2, 1), (3, 1, 5, 2, 4)])
@pytest.mark.parametrize("hidden", [(), (4,), (9, 4, 13)])
def test_paths_lead_from_all_units_before(order, hidden):
    places = np.asarray(order)
    assert (flow(order, *hidden).paths == (places[:, None] < places[None, :])).all()
    assert oracle.places("right-to-left", 3) == (3, 2, 1)
    assert oracle.places(order, 5) == order


@pytest.mark.parametrize("outputs", ["both", "shift", "log_scale"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("conditioned", [False, True])
def test_both_directions(outputs, activation, conditioned):
    draw = np.random.default_rng(5)
    context = draw.normal(0.5, 1.0, (2, 3)) if conditioned else None
    made = flow((2, 1, 4, 3), 5, outputs=outputs, activation=activation, context=context)
    x = draw.normal(0.3, 1.0, (2, 4))
    y = made.forward(x)
    for one, other in zip(numbers(made.inverse(y)), x.ravel(), strict=True):
        assert abs(one - mpf(float(other))) < CLOSE * 100
    for one, other in zip(numbers(made.forward_log_det(x)), numbers(made.inverse_log_det(y)), strict=True):
        assert abs(one + other) < CLOSE * 100
    # The log-det is that of the Jacobian of the inverse, by differences of high precision.
    step, bits = mpf(2) ** -60, 60
    for row, seen in enumerate(numbers(made.inverse_log_det(x))):
        columns = []
        for unit in range(4):
            ends = []
            for side in (1, -1):
                exact = Exact.from_floats(x)
                moved = exact.at(max(bits, exact.bits)).copy()
                moved[row, unit] += side << (max(bits, exact.bits) - bits)
                ends.append(numbers(made.inverse(Exact(moved, max(bits, exact.bits))))[4 * row : 4 * row + 4])
            with mpmath.workprec(600):
                columns.append([(above - below) / (2 * step) for above, below in zip(*ends, strict=True)])
        with mpmath.workprec(600):
            found = log_abs_det([[columns[j][i] for j in range(4)] for i in range(4)])
        assert abs(found - seen) < mpf(2) ** -100  # the square of the step, times the third derivative


def test_values_by_hand():
    kernel, bias = np.full((3, 3), 0.5), np.asarray([1.0, 2.0, -1.0])
    made = oracle.AutoregressiveFlow((1, 2, 3), ((kernel, bias, None),), "tanh", "shift")
    x = np.asarray([[1.0, 0.5, 4.0]])
    # 1 + 1; 0.5 + 0.5 2 + 2; 4 + 0.5 (2 + 3.5) - 1
    assert made.forward(x).to_float().tolist() == [[2.0, 3.5, 5.75]]
    assert made.inverse(made.forward(x)).to_float().tolist() == x.tolist()
    assert made.forward_log_det(x).to_float().tolist() == [0.0]
    told = oracle.AutoregressiveFlow(
        (1, 2, 3), ((kernel, bias, np.full((2, 3), 0.25)),), "tanh", "shift", np.asarray([[1.0, 2.0]])
    )
    assert told.inverse(x).to_float().tolist() == [[-0.75, -2.75, 3.5]]
