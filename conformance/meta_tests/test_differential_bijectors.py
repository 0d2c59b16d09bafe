"""The page on TFP says what the last run found, and draws, answers, judge and list can each fail."""

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bnspec_conformance.bounds import DEFINITION, NAIVE
from bnspec_conformance.expectation import forget
from bnspec_conformance.report.document import put

sys.path.insert(0, str(Path(__file__).parents[1]))
from differential.bijectors import gather
from differential.bijectors.document import SECTION, made
from differential.bijectors.draw import draw
from differential.bijectors.families import FAMILIES
from differential.bijectors.families.transformed import falls
from differential.bijectors.judge import judge
from differential.bijectors.part import Part
from differential.bijectors.sides import Ours
from differential.known import Known

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def result():
    return json.loads((DOCS / "results/differential-bijectors.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _no_expectations_are_kept():
    yield
    forget()


def drawn(family, number=0, **forced):
    return draw(family, FAMILIES[family], 7, number, forced)


def test_the_page_is_made_from_the_result(result):
    text = (DOCS / "differential-bijectors.md").read_text(encoding="utf-8")
    assert put(text, SECTION, made(result)) == text


def test_nothing_is_out_of_place(result):
    assert gather.out_of_place(result) == []
    assert {name: tuple(family["theirs"]) for name, family in result["families"].items()} == {
        name: family.substrates for name, family in FAMILIES.items()
    }


def test_each_family_agrees_often_and_runs_on_every_backend(result):
    for family in result["families"].values():
        assert family["theirs"]["tensorflow"]["agree"] >= 200
        assert family["ours"]["numpy"]["configurations"] >= result["count"]
        assert list(family["ours"]) == ["numpy", "array-api-strict", "torch", "jax", "tensorflow"]
        assert all(side["configurations"] >= 30 for side in family["ours"].values())


def test_each_known_failure_is_one_of_a_side_and_was_seen(result):
    sides = set()
    for name, family in result["families"].items():
        for substrate in FAMILIES[name].substrates:
            sides.add(f"{name} on {substrate}")
            for failure in gather.listed(f"{name} on {substrate}"):
                assert failure.quantities or failure.raises
                assert failure.reference.startswith("https://")
                assert family["theirs"][substrate]["explained"][failure.name] > 0
    assert {each for name in sides for failure in gather.listed(name) for each in failure.originals} <= sides


@pytest.mark.parametrize("family", FAMILIES)
def test_a_draw_is_reproduced_by_its_number(family):
    one, two, other = drawn(family, 3), drawn(family, 3), drawn(family, 4)
    assert one.options == two.options
    seen = [judge(each, Ours("numpy", each.dtype), DEFINITION) for each in (one, two, other)]
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


@pytest.mark.parametrize("family", FAMILIES)
def test_bnspec_keeps_to_its_bounds(family):
    for number in range(12):
        found = drawn(family, number)
        verdict = judge(found, Ours("numpy", found.dtype), DEFINITION)
        assert verdict["agrees"], (found.options, verdict)
        assert verdict["narrow"] == []


# What makes every known failure of TFP appear: bnspec has none of them.
TRAPS = [
    ("BatchNormalization", {"density": "training"}),
    ("BatchNormalization", {"axes": "not last"}),
    ("BatchNormalization", {"axes": "several, apart"}),
    ("BatchNormalization", {"scale": False}),
    ("BatchNormalization", {"gamma": "negative", "scale": True}),
    ("BatchNormalization", {"adjustment": True, "trainable": True}),
    ("BatchNormalization", {"trainable": False}),
    ("elementwise", {"kind": "Tanh", "same_object": True}),
    ("RealNVP", {"mask": "fraction", "fraction": "differs"}),
    ("RealNVP", {"mask": "fraction", "fraction": "nothing"}),
    ("RealNVP", {"again": True, "form": "function"}),
    ("composition", {"kind": "Invert", "length": 0, "dtype": "float64"}),
    ("distributions", {"kind": "Normal", "data": "tails", "dtype": "float64"}),
    ("TransformedDistribution", {"kind": "affine", "signs": "falls", "data": "tails", "dtype": "float32", "batch": 2}),
    ("TransformedDistribution", {"kind": "vector", "length": 3}),
    ("BatchNormalization in a chain", {"log_dets": True, "trainable": True}),
    ("BatchNormalization in a chain", {"adjustment": True, "trainable": True, "density": "training"}),
    ("RationalQuadraticSpline", {"kind": "spline", "knots": "number", "bins": 5}),
    ("MaskedAutoregressiveFlow", {"form": "network", "masked": False, "hidden": 2}),
    ("MaskedAutoregressiveFlow", {"form": "template", "masked": False, "hidden": 0}),
    ("MaskedAutoregressiveFlow", {"form": "network", "dtype": "float64", "hidden": 1, "condition": "all_layers"}),
    ("MaskedAutoregressiveFlow", {"form": "network", "refused": "event_ndims"}),
    ("MaskedAutoregressiveFlow", {"form": "network", "refused": "hidden_degrees"}),
]


@pytest.mark.parametrize(("family", "forced"), TRAPS)
def test_bnspec_falls_into_no_trap(family, forced):
    found = drawn(family, 1, **forced)
    assert judge(found, Ours("numpy", found.dtype), DEFINITION)["agrees"]


class _Changed:
    """A bijector or distribution whose methods change their results."""

    def __init__(self, made, methods, change):
        self._made, self._methods, self._change = made, methods, change

    def __getattr__(self, name):
        found = getattr(self._made, name)
        return (lambda *a, **k: self._change(found(*a, **k))) if name in self._methods else found


class _Off(Ours):
    """bnspec with one method changed."""

    def __init__(self, dtype, methods, change):
        super().__init__("numpy", dtype)
        self._how = methods, change
        self._plain = Ours("numpy", dtype)

    def make(self, part):
        return _Changed(self._plain.make(part), *self._how)


def refuse(_):
    raise TypeError("no such thing")


LOG_DET = "forward_log_det_jacobian"


@pytest.mark.parametrize(
    ("method", "change", "off", "narrow", "raised"),
    [
        ("forward", lambda y: y * np.float32(1.001), ["forward"], [], 0),
        ("inverse", lambda x: x + np.float32(np.nan), ["inverse"], [], 0),
        (LOG_DET, lambda log_det: -log_det, [LOG_DET], [], 0),
        (LOG_DET, lambda log_det: log_det.astype(np.float64), [f"dtype of {LOG_DET}"], [], 0),
        (LOG_DET, lambda log_det: log_det[..., np.newaxis, np.newaxis], [LOG_DET], [], 0),
        ("forward_event_shape", lambda shape: (*shape, 1), ["event_shape"], [], 0),
        ("forward", refuse, [], [], 1),
    ],
)
def test_what_is_off_is_seen(method, change, off, narrow, raised):
    found = drawn("elementwise", 5, kind="Softplus", dtype="float32", rank=2, parameters="all", data="near")
    assert judge(found, Ours("numpy", "float32"), NAIVE)["agrees"]
    verdict = judge(found, _Off("float32", (method,), change), NAIVE)
    assert not verdict["agrees"]
    assert [name for name, ratio in verdict["ratios"].items() if ratio is None or ratio > 1.0] == off
    assert (verdict["narrow"], len(verdict["raised"])) == (narrow, raised)


def test_a_log_det_that_is_to_be_broadcast_is_counted_and_no_failure():
    found = drawn("elementwise", 5, kind="Scale", dtype="float32", rank=2, parameters="one", data="near")

    def first(log_det):
        return log_det.ravel()[0]

    verdict = judge(found, _Off("float32", (LOG_DET,), first), NAIVE)
    assert verdict["narrow"] == [LOG_DET]
    assert LOG_DET in verdict["ratios"]


def test_an_object_that_cannot_be_made_is_no_agreement():
    class _None(Ours):
        def make(self, part):
            raise ValueError("no such bijector")

    verdict = judge(drawn("elementwise"), _None("numpy", "float32"), NAIVE)
    assert verdict["raised"] == ["ValueError: no such bijector"]
    assert not verdict["agrees"]


def entry(**fields):
    blank = {
        "originals": ("elementwise on numpy",),
        "version": "1",
        "when": {},
        "what": "",
        "reference": "",
        "probe": {},
    }
    return Known(**{"name": "one", **blank, **fields})


def side(ratios=None, raised=()):
    return {
        "agrees": False,
        "ratios": ratios or {},
        "errors": {},
        "narrow": [],
        "silent": False,
        "raised": list(raised),
    }


def test_a_known_failure_explains_nothing_else():
    values, errors = entry(quantities=("forward",)), entry(name="two", raises="no such", when={"kind": "Exp"})
    both, exp = [values, errors], {"kind": "Exp"}
    assert gather.explained(both, exp, side({"forward": None, "inverse": 0.5})) == ["one"]
    assert gather.explained(both, exp, side({"forward": 2.0, "inverse": 1.5})) == []
    assert gather.explained(both, exp, side(raised=["forward: TypeError: no such thing"])) == ["two"]
    assert gather.explained(both, exp, side(raised=["forward: TypeError: no such thing", "inverse: another"])) == []
    assert gather.explained(both, {"kind": "Log"}, side(raised=["no such thing"])) == []
    assert gather.explained(both, exp, side({"forward": 2.0}, ["no such thing"])) == ["two", "one"]


def test_a_run_counts_both_sides_and_is_red_for_what_is_not_listed():
    def worse(dtype="float32"):
        return _Off(dtype, ("forward",), lambda y: y * np.asarray(1.001, y.dtype))

    ours = {"numpy": lambda dtype: Ours("numpy", dtype)}
    agreeing = gather.run("RealNVP", FAMILIES["RealNVP"], 4, 3, {}, ours)
    assert agreeing["ours"]["numpy"]["agree"] == 4
    good = {"version": "1", "families": {"RealNVP": agreeing}}
    assert gather.out_of_place(good) == []
    found = gather.run("RealNVP", FAMILIES["RealNVP"], 4, 3, {"other": worse}, {"numpy": worse})
    counted = Counter(each["options"]["mask"] for each in found["theirs"]["other"]["missed"])
    assert sum(counted.values()) == 4
    assert gather.out_of_place({"version": "1", "families": {"RealNVP": found}}) == [
        "RealNVP: bnspec on numpy misses its bound 4 times",
        "RealNVP: 4 failures of TFP on other are not in the list",
    ]
    probe = {"name": "one", "substrate": "numpy", "version": "2", "appears": False}
    assert gather.out_of_place({"version": "1", "families": {"RealNVP": {**agreeing, "probes": [probe]}}}) == [
        "RealNVP on numpy: the known failure one does not appear",
        "RealNVP on numpy: one was found in 2, not in 1",
    ]


def test_a_probe_must_show_its_failure_and_no_other(monkeypatch):
    listed = [
        entry(name="shown", quantities=("forward",), probe={"mask": "number"}),
        entry(name="another", quantities=("inverse",), probe={"mask": "number"}),
    ]
    monkeypatch.setattr(gather, "listed", lambda _: listed)
    worse = _Off("float32", ("forward",), lambda y: y * np.asarray(1.001, y.dtype))
    found = gather.run("RealNVP", FAMILIES["RealNVP"], 0, 3, {"other": lambda: worse}, {})
    assert [probe["appears"] for probe in found["probes"]] == [True, False]
    assert found["probes"][0]["errors"]["forward"] > 0


@pytest.mark.parametrize(
    ("family", "forced", "method", "quantity"),
    [
        ("TransformedDistribution", {"kind": "affine", "signs": "falls"}, "quantile", "quantile"),
        ("TransformedDistribution", {"kind": "monotonic", "signs": "falls"}, "cdf", "cdf"),
        ("TransformedDistribution", {"kind": "extended"}, "stddev", "stddev"),
        ("TransformedDistribution", {"kind": "vector", "permutes": False}, "covariance", "covariance"),
        ("RationalQuadraticSpline", {"kind": "coupling", "bins": 5}, "inverse", "inverse"),
        ("MaskedAutoregressiveFlow", {"form": "network", "inverted": False}, "forward", "forward"),
    ],
)
def test_what_a_newer_question_asks_for_is_judged(family, forced, method, quantity):
    found = drawn(family, 2, dtype="float64", **forced)
    verdict = judge(found, _Off("float64", (method,), lambda y: np.asarray(y * 1.000001)), NAIVE)
    off = [name for name, ratio in verdict["ratios"].items() if ratio is None or ratio > 1.0]
    assert (off, verdict["raised"]) == ([quantity], [])


def test_a_falling_map_is_told_by_the_signs_of_its_factors():
    down = Part("Scale", {"scale": np.asarray([-2.0, 0.5])})
    turned = Part(
        "Chain", parts=(down, Part("Exp"), Part("Invert", parts=(Part("Scale", {"scale": np.asarray(-1.0)}),)))
    )
    assert falls(down).tolist() == [True, False]
    assert falls(turned).tolist() == [False, True]


def test_a_family_that_is_run_again_leaves_the_rows_of_the_others():
    kept = {"version": "1", "seed": 1, "count": 2, "families": {"a": 1, "b": 2}}
    found = {**kept, "count": 5, "families": {"c": 4, "a": 3}}
    assert gather.merged([kept, found], ["a", "b", "c"]) == {**kept, "families": {"a": 3, "b": 2, "c": 4}}
    with pytest.raises(ValueError, match=r"seed must be the same for all families. Got \[1, 5\]"):
        gather.merged([kept, {**found, "seed": 5}], ["a", "b", "c"])
