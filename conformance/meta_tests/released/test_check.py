"""The check of released layers can fail: a convention that is wrong in one field is found out."""

from dataclasses import replace

import numpy as np
import pytest

from bnspec.conventions import KERAS

from .predictor import Predictor, Quantity
from .scenarios import BETA, GAMMA, SCENARIOS, SIX, differences
from .test_torch import Torch

WRONG = {
    "momentum_weighs": ("old", "training"),
    "running_variance": ("population", "training"),
    "normalizing_variance": ("bessel", "training"),
    "statistics": ("running", "training"),
    "average": ("debiased", "training"),
    "initial_variance": (0.0, "initial state"),
    "one_element": ("update", "one element"),
    "empty_batch": ("keep", "empty batch"),
    "momentum": (0.2, "defaults"),
    "epsilon": (1e-3, "defaults"),
    "output_dtype": ("promoted", "half precision"),
    "state_dtype": ("input", "half precision"),
}


@pytest.mark.parametrize("field", WRONG)
def test_a_wrong_field_is_found(field):
    value, scenario = WRONG[field]

    class Wrong(Torch):
        convention = replace(Torch.convention, **{field: value})

    assert differences(*SCENARIOS[scenario][0](Torch)) == []
    assert differences(*SCENARIOS[scenario][0](Wrong)) != []


@pytest.mark.parametrize("average", ["debiased", "debiased_mean", "first"])
def test_the_averages_of_the_prediction_differ(average):
    records = (KERAS, replace(KERAS, average=average))
    layers = [Predictor(record, "float64", GAMMA, BETA, 0.75, 0.125) for record in records]
    for layer in layers:
        layer.train(SIX)
        layer.train(2.0 * SIX)
    one, other = (layer.state() for layer in layers)
    assert differences({"mean": other["mean"].value}, {"mean": one["mean"]})


@pytest.mark.parametrize("field", ["ghost_grouping", "ghost_update"])
def test_the_ghost_batches_of_the_prediction_differ(field):
    seen = []
    for value in ("contiguous", "strided") if field == "ghost_grouping" else ("mean", "merged", "each"):
        layer = Predictor(replace(KERAS, **{"ghost_update": "mean", field: value}), "float64", GAMMA, BETA, 0.75, 0.125)
        layer.train_ghosts(SIX, 2)
        seen.append(layer.state()["variance"])
    first, *others = seen
    assert all(differences({"variance": first.value}, {"variance": other}) for other in others)


def test_what_is_no_number_is_not_near():
    one = {"y": Quantity(np.ones(2), np.ones(2))}
    assert differences({"y": np.asarray([1.0, np.nan])}, one)
    assert differences({"y": np.ones(3)}, one)
    assert differences({"raises": "ValueError"}, one)
    assert not differences({"y": np.ones(2)}, one)
