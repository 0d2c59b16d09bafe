"""The laws and cases themselves, and the definition under them."""

import numpy as np
import pytest

from bnspec_conformance.checks import Checks, LawBroken
from bnspec_conformance.laws import GROUPS, LAWS, trials
from bnspec_conformance.oracle import moments
from bnspec_conformance.subjects import backend_subject

TRIALS = trials(backend_subject("numpy"))


@pytest.mark.parametrize("trial", TRIALS, ids=[trial.id for trial in TRIALS])
def test_the_definition_breaks_no_law(trial):
    if trial.missing:
        names = ("compile", "autodiff", "hessian_vector_product")
        excluded = ("ghosts: running averages that normalize", "renorm: running averages that normalize")
        if trial.adapter.convention.statistics == "running" and trial.missing.startswith(excluded):
            return
        assert trial.missing.startswith(tuple(f"{name}: NumPy has" for name in names))
        return
    checks = Checks()
    trial.run(checks)
    assert checks.worst is not None
    assert checks.unbounded == 0


def test_laws_are_described_and_their_trials_named_apart():
    assert len({(law.group, law.name) for law in LAWS}) == len(LAWS)
    assert all(law.sentence.endswith(".") and law.cases for law in LAWS)
    assert len({trial.id for trial in TRIALS}) == len(TRIALS)
    assert GROUPS[0] == "moments"


def test_cases_say_the_same_thing_every_time():
    for trial in TRIALS:
        case = trial.case
        again = type(case)(**{name: getattr(case, name) for name in case.__dataclass_fields__})
        for old, new in zip(case.training, again.training, strict=True):
            assert old.tobytes() == new.tobytes()


class TestChecks:
    """A comparison that cannot fail is a defect."""

    x = np.asarray([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
    exact = moments(x, ()).mean

    def test_what_is_exact_passes_with_no_room(self):
        checks = Checks()
        checks.close("x", self.x, self.exact, np.zeros((2, 2)), "float32")
        assert checks.worst == 0.0

    def test_the_error_is_measured_against_its_bound(self):
        checks = Checks()
        checks.close("x", self.x + np.float32(0.25), self.exact, np.ones((2, 2)), "float32")
        assert checks.worst == 0.25
        with pytest.raises(LawBroken, match=r"x must be 1\.0 within 0\.125 at \(0, 0\)\. .* 2 times"):
            checks.close("x", self.x + np.float32(0.25), self.exact, np.full((2, 2), 0.125), "float32")
        assert checks.worst == 2.0

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_fails(self, wrong):
        with pytest.raises(LawBroken, match="inf times the bound"):
            Checks().close("x", self.x * np.float32(wrong), self.exact, np.ones((2, 2)), "float32")

    def test_any_error_fails_without_room(self):
        with pytest.raises(LawBroken, match="inf times the bound"):
            Checks().close("x", np.nextafter(self.x, np.float32(9)), self.exact, np.zeros((2, 2)), "float32")

    def test_what_is_not_promised_is_counted(self):
        checks = Checks()
        checks.close("x", self.x * np.float32(9), self.exact, np.full((2, 2), np.inf), "float32")
        assert (checks.worst, checks.unbounded) == (None, 4)

    @pytest.mark.parametrize(
        ("seen", "text"),
        [
            ([[1.0]], r"x must be a NumPy array\. Got type=list\."),
            (x[0], r"x must have shape \(2, 2\)\. Got shape=\(2,\)\."),
            (x.astype(np.float64), r"x must have dtype float32\. Got dtype=float64\."),
        ],
    )
    def test_shape_and_dtype_are_required(self, seen, text):
        with pytest.raises(LawBroken, match=text):
            Checks().close("x", seen, self.exact, np.ones((2, 2)), "float32")

    def test_bytes_are_compared(self):
        Checks().same("x", self.x, self.x.copy())
        with pytest.raises(LawBroken, match="x must be unchanged to the byte"):
            Checks().same("x", np.asarray(-0.0), np.asarray(0.0))
        with pytest.raises(LawBroken, match=r"^it is so\.$"):
            Checks().true("it is so", condition=False)
