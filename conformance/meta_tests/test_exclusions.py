"""What a convention excludes is skipped with a reason, and neither a crash nor an accusation."""

from dataclasses import replace

from bnspec.conventions import EQUINOX, NFLOWS, TORCH
from bnspec_conformance.adapter import gaps_of
from bnspec_conformance.bounds import NAIVE
from bnspec_conformance.laws import Subject, trials
from bnspec_conformance.mutants import Complete


def under(convention):
    return type("Under", (Complete,), {"convention": convention})


def test_averages_that_normalize_go_without_ghost_batches_and_renormalization():
    gaps = gaps_of(under(EQUINOX))
    assert {"ghosts", "renorm", "hessian_vector_product"} <= gaps.keys()
    assert gaps["ghosts"] == "running averages that normalize go without it"


def test_the_second_derivative_is_asked_for_where_the_populations_variance_normalizes():
    assert "hessian_vector_product" in gaps_of(under(NFLOWS))
    assert "hessian_vector_product" not in gaps_of(under(TORCH))


def test_ghost_batches_that_enter_one_by_one_go_without_renormalization():
    adapter = under(replace(TORCH, name="TORCH-each-ghost", ghost_update="each"))
    missing = {trial.case.id for trial in trials(Subject("each", (adapter,), NAIVE)) if trial.missing}
    assert missing == {"ghosts"}
    tried = {trial.case.id for trial in trials(Subject("each", (adapter,), NAIVE)) if not trial.missing}
    assert "clipped" in tried
    assert "pairs" in tried
