"""Sums over batches, as libraries store them; and the page on conversion."""

import re
from pathlib import Path

import numpy as np
import pytest

from bnspec import Accumulators, BatchNorm, Renorm, State, convert
from bnspec.conventions import ALL, CAFFE, EQUINOX, EQUINOX_BATCH, HAIKU, KERAS, TORCH
from bnspec_conformance import conversions
from bnspec_conformance.bounds import DEFINITION, FORMATS, accumulated
from bnspec_conformance.report.document import put

N = 5
M = 0.9375
BATCHES = np.random.default_rng(31).normal(2.0, 3.0, (4, N, 3))
# Two trainings, each of 4 updates, and what a conversion adds; M^4 of the weights is missing.
ERROR = accumulated(2 * (6 * 4 + DEFINITION.additions(N) + 8), FORMATS["float64"].roundoff) / (1 - M**4)
PAGE = Path(__file__).parents[2] / "docs/convert.md"


def train(spec):
    params, state = spec.init(BATCHES.shape[1:], like=BATCHES)
    for batch in BATCHES:
        _, state = spec.apply(params, state, batch, training=True)
    return state


def caffe():
    """batch_norm_layer.cpp: each blob is multiplied by the fraction, and the batch's is added."""
    blobs = [np.zeros(3), np.zeros(3), 0.0]
    for batch in BATCHES:
        blobs = [M * old + new for old, new in zip(blobs, (batch.mean(0), batch.var(0, ddof=1), 1.0), strict=True)]
    return Accumulators(*blobs, np.asarray(4)), {"batch_weight": 1.0}


def haiku():
    """moving_averages.py: hidden and counter; the average is hidden / (1 - decay^counter)."""
    hidden = [np.zeros(3), np.zeros(3)]
    for batch in BATCHES:
        hidden = [M * old + (1 - M) * new for old, new in zip(hidden, (batch.mean(0), batch.var(0)), strict=True)]
    return Accumulators(*hidden, None, np.asarray(4)), {}


@pytest.mark.parametrize(("made", "convention"), [(caffe, CAFFE), (haiku, HAIKU)])
def test_sums_become_what_the_convention_accumulates_and_come_back(made, convention):
    sums, options = made()
    spec = BatchNorm(axis=-1, convention=convention, momentum=M)
    found, wanted = sums.state(spec), train(spec)
    for a, b in zip(found[:2], wanted[:2], strict=True):
        assert (np.abs(a - b) <= ERROR * np.abs(BATCHES).max() ** 2).all()
    back = Accumulators.of(found, spec, **options)
    for a, b in zip(back[:2], sums[:2], strict=True):
        assert (np.abs(a - b) <= ERROR * np.abs(b)).all()
    assert abs(back.weight - (1 - M**4 if sums.weight is None else sums.weight)) <= ERROR * back.weight
    assert back.num_batches == 4


def test_equinox_hidden_variance_is_an_exponential_average():
    hidden = [np.zeros(3), np.ones(3)]
    for batch in BATCHES:
        hidden = [M * old + (1 - M) * new for old, new in zip(hidden, (batch.mean(0), batch.var(0)), strict=True)]
    target = BatchNorm(axis=-1, convention=EQUINOX_BATCH, momentum=M)
    source = BatchNorm(axis=-1, convention=KERAS, momentum=M)  # exponential, of the population, from 1
    found = convert(State(*hidden, np.asarray(4)), source, target, keep="statistics").state
    wanted = train(target)
    assert (np.abs(found.moving_variance - wanted.moving_variance) <= ERROR * np.abs(BATCHES).max() ** 2).all()
    released = Accumulators(*hidden, None, np.asarray(4)).state(target).moving_variance
    assert (np.abs(released - hidden[1] / (1 - M**4)) <= ERROR * released).all()
    assert (released > wanted.moving_variance + M**4).all()


@pytest.mark.parametrize("weight", [None, 0.0, np.asarray(0.0)])
def test_no_batches_are_the_initial_values(weight):
    found = Accumulators(np.zeros(2), np.zeros(2), weight, np.asarray(0)).state(EQUINOX_BATCH)
    np.testing.assert_array_equal(found[:2], [[0.0, 0.0], [1.0, 1.0]])
    back = Accumulators.of(found, EQUINOX_BATCH)
    assert back.weight == 0.0
    assert not back.variance.any()


def test_a_momentum_that_forgets_nothing_has_batches_of_weight_one_only():
    spec, state = BatchNorm(convention=CAFFE, momentum=1.0), State(np.ones(2), np.ones(2), np.asarray(3))
    np.testing.assert_array_equal(Accumulators.of(state, spec, batch_weight=1.0)[:2], np.full((2, 2), 3.0))
    with pytest.raises(ValueError, match="batch_weight must be finite and positive"):
        Accumulators.of(state, spec)


def test_every_backend_takes_sums(backend):
    sums, options = caffe()
    sums = [backend.asarray(np.asarray(leaf, np.float32)) for leaf in sums[:3]]
    sums = Accumulators(*sums, backend.asarray(np.asarray(4, np.int32)))
    spec = BatchNorm(convention=CAFFE, momentum=M)
    state = sums.state(spec)
    back = Accumulators.of(state, spec, **options)
    assert all(backend.owns(leaf) for leaf in (*state[:3], *back[:2]))
    for a, b in zip(back[:2], sums[:2], strict=True):
        a, b = backend.to_numpy(a), backend.to_numpy(b)  # noqa: PLW2901 - the same values
        assert a.dtype == np.float32
        assert (np.abs(a - b) <= accumulated(32, FORMATS["float32"].roundoff) * np.abs(b)).all()


STATE = State(np.ones(2), np.ones(2), np.asarray(3))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: Accumulators.of(STATE, KERAS), "spec must have debiased averages"),
        (lambda: Accumulators.of(STATE, EQUINOX), "spec must have debiased averages"),
        (
            lambda: Accumulators.of(STATE, BatchNorm(convention=HAIKU, momentum=None)),
            "Got average='debiased', momentum=",
        ),
        (lambda: Accumulators.of(STATE, BatchNorm(convention=HAIKU, renorm=Renorm())), "and no renormalization"),
        (lambda: Accumulators.of(STATE._replace(num_batches=None), HAIKU), "num_batches must say how many batches"),
        (lambda: Accumulators.of(STATE, HAIKU, batch_weight=0.0), "batch_weight must be finite and positive"),
        (lambda: Accumulators(*STATE[:2], None, None).state(HAIKU), "num_batches must say how many batches"),
        (lambda: Accumulators(*STATE[:2], np.ones(2), None).state(HAIKU), r"Got shape=\(2,\). Take blobs\[2\]\[0\]"),
        (lambda: Accumulators(*STATE[:2], float("nan"), None).state(HAIKU), "weight must be finite and not negative"),
        (lambda: Accumulators(*STATE[:2], -1.0, None).state(HAIKU), "weight must be finite and not negative"),
    ],
)
def test_what_is_missing_or_wrong_is_said(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_the_examples_of_the_page_run():
    names = {}
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(example, names)  # noqa: S102 - the page is ours


def test_the_table_of_the_page_is_what_is_found(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    assert put(text, conversions.SECTION, conversions.made()) == text, "run python -m bnspec_conformance.conversions"
    page = tmp_path / "page.md"
    page.write_text("<!-- conversions: begin --><!-- conversions: end -->", encoding="utf-8")
    assert conversions.main([str(page)]) == 0
    assert page.read_text(encoding="utf-8") in text


def test_the_table_has_every_convention_once_and_stands_for_each_of_a_class():
    groups = conversions.classes()
    assert sorted(c.name for group in groups for c in group) == sorted(c.name for c in ALL)
    for first, second in ((group[0], group[-1]) for group in groups):
        assert conversions.needed(first, second) == "same"
        assert conversions.needed(first, TORCH) == conversions.needed(second, TORCH)
        assert conversions.needed(HAIKU, first) == conversions.needed(HAIKU, second)
