"""The page on released libraries says what the last run found, and the list of known failures is one that can fail."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import bnspec
from bnspec.conventions import KERAS, TF_KERAS
from bnspec_conformance.bounds import DEFINITION, NAIVE, Algorithm
from bnspec_conformance.report.document import put

sys.path.insert(0, str(Path(__file__).parents[1]))
from differential.arguments import ARGUMENTS, given
from differential.document import SECTION, made
from differential.draw import CHOICES, draw
from differential.judge import Verdict, judge
from differential.known import Known, explanation, known
from differential.originals import PLACES
from differential.ours import Ours
from differential.summary import arguments, out_of_place, summary
from differential.variables import draw as draws
from differential.variables import gather as variables
from differential.variables.judge import judge as judge_variables
from differential.variables.sides import Ours as OursAsLayer

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def result():
    return json.loads((DOCS / "results/differential.json").read_text(encoding="utf-8"))


def drawn(number, convention=KERAS, **forced):
    return draw("test", lambda _: convention, CHOICES, lambda *_: None, 7, number, {"data": "usual", **forced})


def ours(found):
    return Ours(found, bnspec.backend("numpy"))


def test_the_page_is_made_from_the_result(result):
    text = (DOCS / "differential.md").read_text(encoding="utf-8")
    assert put(text, SECTION, made(result)) == text


def test_nothing_is_out_of_place(result):
    assert out_of_place(result) == []
    assert variables.out_of_place(result["variables"]) == []
    assert result["originals"].keys() == PLACES.keys()
    assert all(each["configurations"] >= 500 for each in result["originals"].values())


def test_each_argument_is_tried_on_every_backend(result):
    assert list(result["arguments"]) == list(ARGUMENTS)
    assert list(result["variables"]["rows"]) == list(draws.ARGUMENTS)
    for row in (*result["arguments"].values(), *result["variables"]["rows"].values()):
        assert {"numpy", "array-api-strict", "torch", "jax", "tensorflow"} <= row["backends"].keys()
        assert min(row["backends"].values()) >= 30


def test_each_known_failure_is_one_of_an_original_and_has_a_place():
    for name in PLACES:
        for failure in known(name):
            assert set(failure.originals) <= PLACES.keys()
            assert bool(failure.quantities) != bool(failure.raises)
            assert failure.reference.startswith("https://")
    names = [failure.name for name in PLACES for failure in known(name)]
    assert set(names) == {entry.name for name in PLACES for entry in known(name)}


def test_a_draw_is_reproduced_by_its_number():
    one, two = drawn(3, momentum="drawn"), drawn(3, momentum="drawn")
    assert one.options == two.options
    np.testing.assert_array_equal(one.training[0], two.training[0])
    assert drawn(4).id != one.id


@pytest.mark.parametrize("data", CHOICES["data"])
def test_the_definition_keeps_to_its_bound_on_all_data(data):
    verdict = judge(drawn(11, data=data), ours, DEFINITION, chained=False)
    assert verdict.agrees, verdict


@pytest.mark.parametrize(
    "forced",
    [
        {"renorm": True, "renorm_clipping": "all", "renorm_momentum": "drawn"},
        {"virtual_batch_size": 2},
        {"adjustment": True},
        {"weights": True},
        {"trainable": False},
        {"state": "fresh"},
        {"dtype": "float64"},
    ],
    ids=lambda forced: next(iter(forced)),
)
def test_the_definition_keeps_to_its_bound_with_every_part(forced):
    found = drawn(5, TF_KERAS, **forced)
    assert judge(found, ours, DEFINITION, chained=False).agrees


class _Off(Ours):
    """Everything right but one thing."""

    def __init__(self, found, quantity):
        super().__init__(found, bnspec.backend("numpy"))
        self.quantity = quantity

    def read(self):
        averages = super().read()
        if self.quantity in averages:
            averages[self.quantity] = averages[self.quantity] * np.float32(1.001)
        return averages

    def train(self, x, weights=None, adjustment=None):
        y = super().train(x, weights, adjustment)
        return np.full_like(y, np.nan) if self.quantity == "y" else y

    def gradients(self, *arguments):
        found = super().gradients(*arguments)
        return {k: v * np.float32(1.01) if f"d{k}" == self.quantity else v for k, v in found.items()}


@pytest.mark.parametrize("quantity", ["y", "moving_mean", "moving_variance", "dx", "dgamma", "dbeta"])
def test_what_is_off_is_seen(quantity):
    found = drawn(5, center=True, scale=True, momentum="drawn", epsilon="of-variance", dtype="float32")
    verdict = judge(found, lambda found: _Off(found, quantity), NAIVE, chained=True)
    assert not verdict.agrees
    assert not verdict.ratios[quantity] <= 1.0
    assert quantity in verdict.errors


def test_what_raises_is_no_agreement():
    def refuse(found):
        raise TypeError("no such layer")

    verdict = judge(drawn(5), refuse, NAIVE, chained=True)
    assert verdict.raised == "TypeError: no such layer"
    assert not verdict.agrees


def entry(**fields):
    return Known(
        **{
            "name": "one",
            "originals": ("torch",),
            "version": "1",
            "when": {"data": ["empty", "few"], "weights": False},
            "what": "",
            "reference": "https://",
            "probe": {"momentum": "drawn"},
            **fields,
        }
    )


def test_a_known_failure_explains_nothing_else():
    options = {"data": "few", "weights": False}
    off = Verdict({"y": 2.0, "dx": 0.5}, {"y": 1.0}, False, "")
    raised = Verdict({}, {}, False, "TypeError: no")
    listed = entry(quantities=("y", "moving_mean"))
    assert explanation([listed], options, off) == "one"
    assert explanation([listed], {**options, "data": "usual"}, off) == ""
    assert explanation([listed], {**options, "weights": True}, off) == ""
    assert explanation([listed], options, off._replace(ratios={"y": 2.0, "dx": 1.5})) == ""
    assert explanation([listed], options, off._replace(ratios={"dx": float("nan")})) == ""
    assert explanation([listed], options, raised) == ""
    assert explanation([entry(raises="TypeError")], options, raised) == "one"
    assert explanation([entry(raises="ValueError")], options, raised) == ""
    both = raised._replace(ratios={"y": 2.0})
    assert explanation([entry(raises="TypeError")], options, both) == ""
    assert (
        explanation([entry(raises="TypeError"), entry(name="two", quantities=("y",))], options, both) == "one and two"
    )
    other = entry(name="two", quantities=("dx",))
    assert explanation([listed, other], options, off._replace(ratios={"y": 2.0, "dx": 1.5})) == "one and two"
    assert listed.forced == {"data": "empty", "weights": False, "momentum": "drawn"}


def run(agrees=True, quantity="y", appears=True):
    ratios = {quantity: 0.5 if agrees else None}
    side = {"agrees": agrees, "ratios": ratios, "errors": {}, "silent": False, "raised": ""}
    mine = {**side, "agrees": True, "ratios": {"y": 0.25}}
    found = drawn(5)
    each = {
        "number": 5,
        "options": dict(found.options),
        "arguments": list(ARGUMENTS),
        "shapes": [],
        "epsilon": 1.0,
        "take": 0.1,
        "mean": 0.0,
        "deviation": 1.0,
        "original": side,
        "ours": {"numpy": mine},
    }
    probe = {"name": "one", "what": "", "reference": "", "version": "1", "appears": appears, **side}
    return {"version": "1", "algorithm": "", "probes": [probe], "results": [each], "seconds": 1.0}


def red(**fields):
    runs = {"torch": run(**fields)}
    listed = [entry(when={"data": "usual"}, quantities=("y",))]
    return out_of_place({"originals": {k: summary(v, listed) for k, v in runs.items()}, "arguments": arguments(runs)})


def test_a_run_is_red_for_what_is_not_listed_and_for_what_is_gone():
    assert red() == []
    assert red(agrees=False) == []
    assert red(agrees=False, quantity="dx") == ["torch: 1 failures are not in the list"]
    assert red(appears=False) == ["torch: the known failure one does not appear"]


def test_a_run_is_red_where_the_definition_misses_its_bound_and_where_the_release_is_another():
    found = run()
    found["version"] = "2"
    found["results"][0]["ours"]["numpy"] |= {"agrees": False, "ratios": {"y": 3.0}}
    kept_of = {"originals": {"torch": summary(found, [])}, "arguments": {}}
    assert out_of_place(kept_of) == [
        "torch: bnspec misses its bound 1 times",
        "torch: one was found in 1, not in 2",
    ]


def test_an_argument_that_nothing_was_tried_with_is_red():
    found = run()
    found["results"][0]["arguments"] = []
    lines = out_of_place({"originals": {}, "arguments": arguments({"torch": found})})
    assert lines == [f"nothing was tried with {argument}" for argument in ARGUMENTS]


def test_arguments_are_named_when_they_are_not_the_default():
    plain = drawn(5, axis=-1, momentum="default", epsilon="default", center=True, scale=True, dtype="float32")
    assert given(plain) == ["convention", "training"]
    several = drawn(5, axis=[1, 2], rank=4, momentum="default", epsilon="default", center=True, scale=True)
    assert "axis (list)" in given(several)


def test_an_algorithm_widens_a_bound_where_it_is_bad_and_nowhere_else():
    found = drawn(5, data="far", dtype="float32", epsilon="of-variance", momentum="drawn")
    folded = Algorithm("folded", NAIVE.additions, "perturbed", folded="everywhere")
    one_pass = Algorithm("one pass", NAIVE.additions, "one-pass")
    plain = judge(found, ours, NAIVE, chained=True).ratios
    for algorithm, wider in ((folded, ("y", "y in evaluation", "dgamma")), (one_pass, ("y", "moving_variance"))):
        ratios = judge(found, ours, algorithm, chained=True).ratios
        assert all(ratios[name] < plain[name] for name in wider if plain[name])
        assert ratios["dbeta"] == plain["dbeta"] if "dbeta" in plain else True


def with_variables(**arguments):
    values = np.asarray([0.3, -1.7, 2.9, 4.0])
    given = {"name": "one", "dtype": "float64", **arguments}
    return {"arguments": given, "channels": 4, "gamma": values, "beta": -values}


class _LayerOff(OursAsLayer):
    """A layer that is right but for what is changed here."""

    def __init__(self, options, backend, **changes):
        super().__init__(options, backend)
        vars(self).update(changes)


CONSTANT = {"class_name": "Constant", "config": {"value": 0.1}}
UNIFORM = {"class_name": "RandomUniform", "config": {"minval": 0.0, "maxval": 1.0, "seed": 3}}
NORMAL = {"class_name": "RandomNormal", "config": {"mean": 0.0, "stddev": 1.0, "seed": 3}}
TRUNCATED = {"class_name": "TruncatedNormal", "config": {"mean": 0.0, "stddev": 1.0, "seed": 3}}
L1 = {"class_name": "L1", "config": {"l1": 0.1}}
UNIT = {"class_name": "UnitNorm", "config": {"axis": 0}}
NONNEG = {"class_name": "NonNeg", "config": {}}
DEVIATES = np.random.default_rng(1).normal(0.0, 1.0, 2048)


@pytest.mark.parametrize(
    ("argument", "made_of", "changes"),
    [
        ("gamma_initializer", CONSTANT, {"value": lambda _: np.full(4, float(np.float32(0.1)))}),
        ("gamma_initializer", UNIFORM, {"value": lambda _: np.linspace(0.0, 0.8, 2048)}),
        ("gamma_initializer", UNIFORM, {"value": lambda _: np.linspace(0.0, 1.001, 2048)}),
        ("gamma_initializer", NORMAL, {"value": lambda _: DEVIATES * 1.3}),
        ("gamma_initializer", NORMAL, {"value": lambda _: np.clip(DEVIATES, -0.5, None)}),
        ("gamma_initializer", TRUNCATED, {"value": lambda _: DEVIATES}),
        ("gamma_regularizer", L1, {"losses": lambda: [0.89 * float(np.float32(0.1)) / 0.1]}),
        ("gamma_regularizer", L1, {"losses": list}),
        ("gamma_constraint", UNIT, {"constrain": lambda: None}),
        ("gamma_constraint", NONNEG, {"constrain": lambda: None}),
        ("gamma_constraint", None, {"value": lambda name: np.zeros(4)}),
        ("name", None, {"name": lambda: "another"}),
    ],
)
def test_a_variable_that_is_off_is_seen(argument, made_of, changes):
    options = with_variables(**({argument: made_of} if made_of else {}))

    def judged(**changed):
        return judge_variables(options, lambda given: _LayerOff(given, bnspec.backend("numpy"), **changed))

    assert max(judged().values()) <= 1.0
    assert not judged(**changes)[argument] <= 1.0


def test_draws_of_variables_keep_to_their_bounds():
    rows = variables.table(60, 2, {"again": lambda given: OursAsLayer(given, bnspec.backend("numpy"))}, ["numpy"])
    assert list(rows) == list(draws.ARGUMENTS)
    assert variables.out_of_place({"rows": rows, "probes": []}) == []
    rows["name"]["ours"], rows["beta_constraint"]["original"] = None, 2.0
    rows["gamma_constraint"]["originals"] = {}
    gone = {"name": "one", "original": "torch", "object": "L1", "seen": ""}
    assert variables.out_of_place({"rows": rows, "probes": [gone]}) == [
        "nothing was tried with gamma_constraint",
        "beta_constraint: original is outside the bound",
        "name: ours is outside the bound",
        "torch: the known failure one does not appear",
    ]
