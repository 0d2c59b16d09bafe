"""The catalogue of flows is whole and off every fixed point; its laws kill mutants and accuse no correct variant.

That every mutant is rejected is the session's: ``nox -s mutants``.
"""

import inspect
from itertools import pairwise

import numpy as np
import pytest

from bnspec import bijectors, distributions
from bnspec_conformance import bounds, matrix
from bnspec_conformance.bounds import DEFINITION, FORMATS
from bnspec_conformance.checks import Checks
from bnspec_conformance.flows import CATALOGUE, DENSITIES, FLOW_LAWS, PREIMAGES, FlowTrial, flow_trials
from bnspec_conformance.flows._densities import density_of
from bnspec_conformance.flows._entry import expected
from bnspec_conformance.flows._parts import Elementwise, Normalized, Splined, normalizations
from bnspec_conformance.laws import GROUPS, Subject
from bnspec_conformance.mutants import FLOW_MUTANTS, MUTANTS
from bnspec_conformance.subjects import backend_subject
from bnspec_conformance.variants import FLOW_VARIANTS

NUMPY = backend_subject("numpy")
TRIALS = flow_trials(NUMPY)


def parts_of(part):
    yield part
    inner = getattr(part, "parts", None) or ([part.part] if hasattr(part, "part") else [])
    for each in inner:
        yield from parts_of(each)


def built_classes():
    flows = [NUMPY.adapters[0].bijector(entry) for entry in (*CATALOGUE.values(), *PREIMAGES.values())]
    found = set()

    def collect(bijector):
        found.add(type(bijector))
        parameters = bijector.parameters
        for value in (parameters.get("bijector"), *(parameters.get("bijectors") or ())):
            if value is not None:
                collect(value)
        found.add(type(parameters.get("shift_and_log_scale_fn")))

    for flow in flows:
        collect(flow.subject)
    return found


def test_every_public_bijector_and_distribution_is_tried():
    public = {value for name, value in vars(bijectors).items() if name in bijectors.__all__ and inspect.isclass(value)}
    assert public - built_classes() == {bijectors.Bijector}
    tried = {entry.base for entry in DENSITIES.values()}
    tried |= {"TransformedDistribution"} if any(entry.part for entry in DENSITIES.values()) else set()
    public = {name for name in distributions.__all__ if inspect.isclass(getattr(distributions, name))}
    assert public - tried == {"Distribution"}


def test_trials_are_named_apart_and_described():
    assert len({trial.id for trial in TRIALS}) == len(TRIALS)
    assert all(law.sentence.endswith(".") and law.effect and law.cases for law in FLOW_LAWS)
    assert len({(law.group, law.name) for law in FLOW_LAWS}) == len(FLOW_LAWS)
    assert {law.group for law in FLOW_LAWS} - set(GROUPS) == {"bijectors", "flows", "densities"}
    tried = {trial.case.id for trial in TRIALS}
    assert tried == {*CATALOGUE, *DENSITIES, *PREIMAGES}


def test_who_has_no_bijectors_is_tried_on_none():
    assert flow_trials(Subject("stranger", (object(),), DEFINITION)) == []


def test_a_mode_tries_all_entries_on_all_laws_entry_by_entry():
    subject = Subject("mode", (type("Mode", (), {"mode": "XLA", "bijector": None})(),), DEFINITION)
    found = [(trial.law, trial.case) for trial in flow_trials(subject)]
    assert len(found) == len(set(found)) == sum(len(law.cases) for law in FLOW_LAWS)
    cases = [case for _, case in found]
    assert len([1 for one, other in pairwise(cases) if one is not other]) == len(set(cases)) - 1


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.id)
def test_no_entry_lies_on_a_fixed_point(entry):
    for part in parts_of(entry.part):
        if isinstance(part, Elementwise):
            for value in part.parameters.values():
                assert not np.isin(value.astype(np.float64), [0.0, 1.0, -1.0]).any()
        if isinstance(part, Splined):
            assert (part.knot_slopes != 1).all()
            assert not (part.bin_widths == part.bin_heights).all(axis=-1).any()
        if isinstance(part, Normalized):
            assert not np.isin(part.moving_variance + part.epsilon, [0.0, 1.0]).any()
            assert part.gamma is None or not np.isin(np.abs(part.gamma), [0.0, 1.0]).any()
            assert (part.moving_mean != 0).all()
            assert part.momentum != 0.5
    points = entry.x if entry.structured else (entry.x,)
    assert all(np.isfinite(x.astype(np.float64)).all() and (x != 0).all() for x in points)


@pytest.mark.parametrize("entry", CATALOGUE.values(), ids=lambda entry: entry.id)
def test_something_is_promised_of_every_number(entry):
    for direction, rise in (("forward", 0), ("inverse", entry.risen)):
        value, log_det = expected(entry, DEFINITION, direction, entry.event_ndims[0] + rise)
        for wanted in (*(value if entry.structured else (value,)), log_det):
            assert np.isfinite(wanted.bound).all()


def test_training_is_no_round_trip():
    """The law says what comes; that this is not what went in, is here."""
    moving = [entry for entry in CATALOGUE.values() if any(part.moves for part in normalizations(entry.part))]
    for entry in moving:
        flow = NUMPY.adapters[0].bijector(entry)
        assert np.abs(flow.forward(flow.inverse(entry.y)) - entry.y).max() > 0.1


@pytest.mark.parametrize("entry", [e for e in DENSITIES.values() if e.nodes is not None], ids=lambda entry: entry.id)
def test_a_quadrature_leaves_little_out(entry):
    density = np.exp(density_of(entry, DEFINITION, at_nodes=True).exact.to_float())
    assert abs(density @ entry.nodes.weights - 1.0) < bounds.empirical(4000, 1e-6) / 1000.0


@pytest.mark.parametrize("trial", TRIALS, ids=[trial.id for trial in TRIALS])
def test_the_definition_breaks_no_law(trial):
    if trial.missing:
        assert trial.missing.startswith(("compile: NumPy has", "jacobian: NumPy has"))
        return
    checks = Checks()
    trial.run(checks)
    assert checks.worst is not None
    assert checks.unbounded == 0


@pytest.mark.parametrize("mutant", FLOW_MUTANTS, ids=lambda mutant: mutant.name)
def test_each_mutant_is_described(mutant):
    assert mutant.defect.endswith(".")
    assert mutant.references


@pytest.mark.parametrize("law", FLOW_LAWS, ids=lambda law: f"{law.group}.{law.name}")
def test_each_law_rejects_a_mutant(law):
    assert any(matrix.flow_kills(mutant.adapter, (law,)) for mutant in FLOW_MUTANTS)


@pytest.mark.parametrize("variant", FLOW_VARIANTS, ids=lambda variant: variant.__name__)
def test_no_correct_variant_is_accused(variant):
    assert not matrix.flow_kills(variant)


def test_mutants_have_names_of_their_own():
    names = [mutant.name for mutant in (*MUTANTS, *FLOW_MUTANTS)]
    assert len(set(names)) == len(names)


def test_a_gap_is_the_reason_of_a_skip():
    adapter = type("Gap", (), {"flow_gaps": {"float64": "has none"}, "bijector": None})()
    law = next(law for law in FLOW_LAWS if law.name == "finite_differences")
    assert FlowTrial(law, law.cases[0], Subject("gap", (adapter,), DEFINITION), adapter).missing == "float64: has none"


class TestDeterminant:
    """The bound of a determinant with errors."""

    def test_it_holds_for_matrices_that_are_off_by_their_errors(self):
        random = np.random.default_rng(1)
        matrices = random.normal(0.3, 1.0, (200, 4, 4)) + 2.0 * np.eye(4)
        errors = np.full(matrices.shape, 1e-3)
        moved = matrices + errors * random.choice([-1.0, 1.0], matrices.shape)
        distance = np.abs(np.linalg.slogdet(moved)[1] - np.linalg.slogdet(matrices)[1])
        bound = bounds.determinant(matrices, errors)
        assert (distance <= bound).all()
        assert (distance > bound / 50.0).any()

    def test_nothing_is_promised_of_what_may_be_singular(self):
        assert np.isinf(bounds.determinant(np.eye(2), np.ones((2, 2))))
        assert bounds.determinant(np.zeros((3, 0, 0)), np.zeros((3, 0, 0))).shape == (3,)

    def test_differentiated_elements_are_off_by_their_row(self):
        found = bounds.differentiated(np.asarray([[2.0, 0.0], [0.0, 0.5]]), FORMATS["float32"])
        assert (found[0] == 4.0 * found[1]).all()
