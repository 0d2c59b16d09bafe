"""Identification from the outside: every named convention, sound variants, mutants, and strange adapters."""

import json
import pickle
from copy import copy
from dataclasses import replace

import numpy as np
import pytest

import bnspec
from bnspec.conventions import ALL, EQUINOX, HAIKU, KERAS, KERAS_2, NFLOWS, TF_SLIM, TORCH, Convention, named
from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.definition import DefinitionAdapter
from bnspec_conformance.identify import Following, Observation, identify
from bnspec_conformance.laws import Subject, trials
from bnspec_conformance.mutants import MUTANTS, Sound
from bnspec_conformance.variants import VARIANTS

FIELDS = [name for name in Convention.__dataclass_fields__ if name not in ("name", "source")]
# An adapter of bnspec has one replica, and no switch of its own.
NOT_SEEN_IN_BNSPEC = {"sync", "freeze"}


def definition(convention):
    return DefinitionAdapter(bnspec.backend("numpy"), convention)


def mutant(name):
    return next(each.adapter for each in MUTANTS if each.name == name)


def variant(name):
    return next(each for each in VARIANTS if each.__name__ == name)


def contradictions(found, convention):
    return [each for each in found.fields if not each.allows(getattr(convention, each.name))]


def findings(found, topic):
    return {each.where: each.value for each in found.findings if each.topic == topic}


@pytest.mark.parametrize("convention", ALL, ids=lambda convention: convention.name)
def test_every_named_convention_is_named(convention):
    found = identify(definition(convention), findings=False)
    assert [each.name for each in found.fields] == FIELDS
    assert contradictions(found, convention) == []
    assert found.unexplained == ()
    assert not found.nearest[0].differences
    # All that are named with it differ in nothing that can be seen.
    seen = [each.name for each in found.fields if each.known and each.name != "mask"]
    for name in found.names:
        other = named(name)
        assert {field: getattr(other, field) for field in seen} == {field: getattr(convention, field) for field in seen}
    assert convention.name in found.names
    unknown = {each.name for each in found.fields if not each.known}
    if convention.statistics == "running":
        unknown -= {"normalizing_variance", "ghost_grouping", "ghost_update"}
    # In bnspec, the parameters of a layer for float64 input have its dtype too.
    assert unknown - {"output_dtype"} == NOT_SEEN_IN_BNSPEC
    assert found.field("output_dtype").known == (convention.output_dtype == "input")
    assert all(each.evidence for each in found.fields if each.known)
    assert all(each.reason for each in found.fields if not each.known)


@pytest.mark.parametrize(
    ("convention", "field", "value"),
    [
        (replace(TORCH, ghost_update="each"), "ghost_update", "each"),
        (replace(TF_SLIM, average="debiased_mean"), "average", "debiased_mean"),
        (replace(NFLOWS, statistics="running"), "statistics", "running"),
        (replace(EQUINOX, average="exponential"), "average", "exponential"),
        (replace(KERAS, momentum=0.7, epsilon=2e-4, initial_variance=0.5), "momentum", 0.7),
        (replace(HAIKU, momentum=0.999, epsilon=1.5e-3), "epsilon", 1.5e-3),
        (replace(KERAS, axis=0), "axis", 0),
        (replace(KERAS, momentum=0.75, initial_variance=0.1), "initial_variance", 0.1),
        (replace(TORCH, momentum=0.75), "momentum", 0.75),
        (replace(HAIKU, momentum=0.25), "momentum", 0.25),
    ],
    ids=lambda each: "" if isinstance(each, Convention) else str(each),
)
def test_a_convention_without_a_name_is_seen_as_it_is(convention, field, value):
    found = identify(definition(convention), findings=False)
    assert contradictions(found, convention) == []
    assert found.field(field).value == value
    assert found.convention.name.endswith("-seen")
    for each in found.fields:
        if each.known and each.name != "mask":
            assert getattr(found.convention, each.name) == getattr(convention, each.name)


@pytest.mark.parametrize("adapter", VARIANTS, ids=lambda adapter: adapter.__name__)
def test_no_correct_variant_is_misjudged(adapter):
    found = identify(adapter, findings=False)
    assert contradictions(found, adapter.convention) == []
    assert found.unexplained == ()
    assert found.field("initial_variance").reason == "the adapter has no default"


@pytest.mark.parametrize("name", ["TwoPass", "Welford", "Shifted", "SequentialSums", "CompleteEquinox", "ScaledSums"])
def test_the_findings_accuse_no_correct_variant(name):
    found = identify(variant(name))
    assert set(findings(found, "variance algorithm").values()) == {"two passes, or as good"}
    assert set(findings(found, "output in evaluation").values()) == {"centred"}
    assert set(findings(found, "grade").values()) <= {"definition", "two-pass", "naive"}
    assert set(findings(found, "first-order gradient, gradients").values()) == {"through mean and variance"}
    assert set(findings(found, "moving_mean from a loaded state").values()) == {"as the convention says"}
    assert set(findings(found, "moving_variance from a loaded state").values()) == {"as the convention says"}


def test_the_definition_reaches_its_grade_everywhere():
    found = identify(definition(KERAS))
    grades = findings(found, "grade")
    assert set(grades.values()) == {"definition"}
    assert len(grades) == 60  # four dtypes, five layouts, three lengths
    assert findings(found, "accumulation") == {
        "float16": "float32",
        "bfloat16": "float32",
        "float32": "float32",
        "float64": "float64",
    }


def test_statistics_in_half_precision_are_found():
    found = findings(identify(mutant("StatisticsInInputDtype")), "accumulation")
    assert (found["float16"], found["float32"]) == ("narrower than float32", "float32")


def test_sums_in_float64_are_found():
    found = findings(identify(variant("AllInFloat64")), "accumulation")
    assert {found[dtype] for dtype in ("float16", "bfloat16", "float32")} == {"wider than float32, or compensated"}
    assert found["float64"] == "float64"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("MomentumReversed", "momentum_weighs", "old"),
        ("RunningVarianceBiased", "running_variance", "population"),
        ("NormalizedByBessel", "normalizing_variance", "bessel"),
        ("TrainsOnRunningStatistics", "statistics", "running"),
        ("ZeroDebiased", "average", "debiased"),
        ("FirstBatchReplaces", "average", "first"),
        ("VarianceNotDebiased", "average", "debiased_mean"),
        ("BesselWithoutEpsilon", "running_variance", "bessel"),
        ("NormalizedByTheBatch", "statistics", "batch"),
        ("OneElementWritesNaN", "one_element", None),
        ("EmptyWritesNaN", "empty_batch", None),
        ("WeightsAsBooleans", "mask", "boolean"),
        ("WeightsIgnored", "mask", None),
        ("GhostsStrided", "ghost_grouping", "strided"),
        ("GhostVariancesAveraged", "ghost_update", "mean"),
        ("DebiasedFromOne", "running_variance", None),
    ],
)
def test_a_mutant_is_seen_as_what_it_does(name, field, value):
    seen = identify(mutant(name), findings=False).field(field)
    assert seen.value == value
    assert seen.known if value is not None else seen.reason and seen.evidence


@pytest.mark.parametrize(
    ("name", "topic", "values"),
    [
        ("OnePassVariance", "variance algorithm", {"one pass"}),
        ("OnePassVarianceUnclamped", "variance algorithm", {"one pass, and may be negative"}),
        ("FoldedAffine", "output in evaluation", {"folded"}),
        ("GradientOfGivenStatistics", "first-order gradient, gradients", {"through neither"}),
        ("GradientCutAtMean", "first-order gradient, gradients", {"through the variance alone"}),
        ("GradientCutAtVariance", "first-order gradient, gradients", {"through the mean alone"}),
        ("VarianceDetached", "first-order gradient, autodiff", {"through the mean alone"}),
        ("SecondOrderCutAtMean", "second-order gradient", {"not through the mean inside the variance"}),
        ("SecondOrderZero", "second-order gradient", {"zero"}),
        ("AveragesAreConstants", "first-order gradient, gradients", {"through neither"}),
    ],
)
def test_a_finding_names_what_a_mutant_does(name, topic, values):
    assert set(findings(identify(mutant(name)), topic).values()) == values


def test_one_pass_is_below_every_grade_on_data_far_from_0():
    grades = findings(identify(mutant("OnePassVariance")), "grade")
    assert {value for where, value in grades.items() if where.startswith(("float32", "float64"))} == {"below naive"}


def test_nothing_is_concluded_from_the_convention_that_an_adapter_states():
    class Lying(Sound):
        convention = KERAS_2

        def __init__(self, config):
            super().__init__(config)
            self.convention = TORCH

    found = identify(Lying, findings=False)
    assert contradictions(found, TORCH) == []
    assert found.field("momentum_weighs").value == "new"
    assert found.field("running_variance").value == "bessel"


class WithoutConvention:
    """Keras in a few lines, which knows no convention."""

    def __init__(self, config):
        self.config = config

    def load(self, gamma, beta, moving_mean, moving_variance):
        self.gamma, self.beta, self.mean, self.variance = gamma, beta, moving_mean, moving_variance

    def __call__(self, x, training):
        mean, variance, m = self.mean, self.variance, self.config.momentum
        if training and x.size:
            axes = tuple(axis for axis in range(x.ndim) if axis not in self.config.axis)
            mean, variance = x.mean(axes), x.var(axes)
            self.mean, self.variance = self.mean * m + mean * (1 - m), self.variance * m + variance * (1 - m)
        return (x - mean) / np.sqrt(variance + self.config.epsilon) * self.gamma + self.beta

    def read(self):
        return self.mean, self.variance


NOT_THERE = ("axis 0", "axis 1", "inner axis", "several axes", "momentum=None", "center=False", "scale=False")


def without_convention(**attributes):
    return type("Mine", (WithoutConvention,), {"gaps": dict.fromkeys(NOT_THERE, "no"), **attributes})


def test_an_adapter_needs_no_convention():
    found = identify(without_convention())
    assert contradictions(found, KERAS) == []
    assert {"KERAS", "FLAX"} <= set(found.names)
    # Its output is that of NumPy's promotion, and half precision alone does not tell which rule that is.
    assert found.field("output_dtype").fits == ("parameters", "promoted")
    # Nothing that this adapter has counts batches.
    assert found.field("empty_batch").fits == ("keep", "count")
    assert "give the same" in found.field("empty_batch").reason
    assert findings(found, "first-order gradient, gradients") == {"float32": "not measured"}


def broken(adapter):
    """Try the laws of running averages, and count."""
    laws = [
        each for each in trials(Subject("mine", (adapter,), NAIVE)) if each.law.group in ("running", "normalization")
    ]
    done, wrong = 0, set()
    for each in laws:
        if not each.missing:
            done += 1
            try:
                each.run(Checks())
            except LawBroken:
                wrong.add(each.law.name)
    return done, wrong


def test_an_adapter_without_a_convention_is_held_to_what_was_identified():
    mine = without_convention(gaps=dict.fromkeys((*NOT_THERE, "float16", "bfloat16"), "no"))
    done, wrong = broken(Following(mine, identify(mine, findings=False).convention))
    assert done
    assert not wrong
    assert broken(Following(mine, KERAS_2))[1]


def test_a_following_adapter_can_be_copied_and_has_all_that_its_adapter_has():
    adapter = copy(Following(definition(TORCH), TORCH))
    assert adapter.offers == ("ghosts", "renorm")
    assert gaps_of(adapter) == gaps_of(definition(TORCH))


@pytest.mark.parametrize(
    ("frozen", "value"),
    [
        (lambda self, x, training: WithoutConvention.__call__(self, x, False), "evaluation"),
        (WithoutConvention.__call__, "parameters"),
        (lambda self, x, training: self.standing(x), "averages"),
    ],
    ids=["evaluation", "parameters", "averages"],
)
def test_freezing_is_seen(frozen, value):
    class Freezing(without_convention()):
        is_frozen = False

        def __call__(self, x, training):
            return frozen(self, x, training) if self.is_frozen else super().__call__(x, training)

        def standing(self, x):
            before = self.mean, self.variance
            y = WithoutConvention.__call__(self, x, True)
            self.mean, self.variance = before
            return y

        def freeze(self):
            self.is_frozen = True

    assert identify(Freezing, findings=False).field("freeze").value == value


@pytest.mark.parametrize("method", ["__init__", "load", "__call__", "read"])
def test_what_an_adapter_raises_is_the_reason(method):
    def fail(self, *args, **options):
        raise RuntimeError("out of order")

    found = identify(without_convention(**{method: fail}))
    assert [each.name for each in found.fields] == FIELDS
    assert not any(each.known for each in found.fields)
    assert (found.names, found.nearest, found.convention) == ((), (), None)
    assert found.to_json()["convention"] is None
    assert found.field("average").reason == "raised RuntimeError: out of order"
    # What evaluation gives can be found without reading.
    assert {each.topic for each in found.findings if each.value != "not measured"} <= {"output in evaluation"}


def test_an_error_in_one_probe_costs_no_other_field():
    class Fragile(Sound):
        def empty(self, x):
            raise MemoryError("no batch")

    found = identify(Fragile, findings=False)
    assert found.field("empty_batch") == Observation("empty_batch", (), "", "raised MemoryError: no batch")
    assert contradictions(found, TORCH) == []
    assert found.field("one_element").value == "raise"


def test_a_function_that_builds_one_rank_alone_is_identified():
    def build(config):
        if len(config.shape) != 4:
            raise TypeError("images, please")
        return Sound(replace(config, convention=TORCH))

    build.gaps = dict.fromkeys(("rank 1", "rank 2", "rank 3", "rank 5"), "images alone")
    assert contradictions(identify(build, findings=False), TORCH) == []


LAYOUT_GAPS = {"rank 1", "rank 2", "rank 3", "rank 4", "rank 5", "axis 0", "axis 1", "axis -1"}


@pytest.mark.parametrize(
    ("has", "tried"),
    [
        ({"rank 4", "axis -1"}, "rank 4, axis 3"),
        ({"rank 5", "axis 1"}, "rank 5, axis 1"),
        ({"rank 3", "axis 1"}, "rank 3, axis 1"),
    ],
    ids=lambda each: "" if isinstance(each, str) else " ".join(sorted(each)),
)
def test_one_layout_is_enough(has, tried):
    found = identify(type("One", (Sound,), {"gaps": dict.fromkeys(LAYOUT_GAPS - has, "no")}))
    assert contradictions(found, TORCH) == []
    assert found.field("average").known
    assert all(tried in where for where in findings(found, "grade"))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_one_dtype_is_enough(dtype):
    others = {"float16", "bfloat16", "float32", "float64"} - {dtype}
    found = identify(type("One", (Sound,), {"gaps": dict.fromkeys(others, "no")}))
    assert contradictions(found, TORCH) == []
    assert {each.name for each in found.fields if each.known} >= {"average", "running_variance", "statistics", "mask"}
    assert {where for where, value in findings(found, "grade").items() if value == "not measured"} == others


def test_nan_is_described():
    class Lost(Sound):
        def normalize(self, x, mean, inverse):
            return x * np.nan

    found = identify(Lost, findings=False)
    assert found.field("statistics").fits == ()
    assert "none of 'batch', 'running' fits" in found.field("statistics").evidence
    assert "nan" in found.field("statistics").evidence
    assert found.field("average").value == "exponential"


def test_a_gap_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="gaps must name capabilities"):
        identify(without_convention(gaps={"axes": "no"}))


def test_the_result_is_plain_data():
    found = identify(variant("TwoPassKeras"))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - our own
    plain = json.loads(json.dumps(found.to_json()))
    assert [each["name"] for each in plain["fields"]] == FIELDS
    assert plain["fields"][FIELDS.index("momentum_weighs")]["value"] == "old"
    assert plain["nearest"][0]["convention"] in found.names
    assert plain["convention"]["running_variance"] == "population"
    assert {each["topic"] for each in plain["findings"]} >= {"variance algorithm", "accumulation", "grade"}


def test_a_value_that_fits_beside_others_contradicts_none_of_them():
    seen = Observation("axis", (1, -1))
    assert (seen.allows(-1), seen.allows(0), seen.known, seen.value) == (True, False, False, None)
    assert Observation("momentum", (None,)).known
    assert Observation("mask", ("frequency",)).allows("none")
    assert not Observation("mask", ("boolean",)).allows("frequency")
