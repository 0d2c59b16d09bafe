"""The plugin: options, verdicts, reports, and the rule about skips."""

import json
from xml.etree import ElementTree as ET

import pytest

from bnspec_conformance.flows import FLOW_LAWS
from bnspec_conformance.laws import LAWS
from bnspec_conformance.subjects import backend_subject

SUITE = ("--pyargs", "bnspec_conformance", "-p", "no:cacheprovider")

BROKEN = """
    from bnspec_conformance.mutants import Sound
    class Adapter(Sound):
        def update(self, mean, variance, count):
            self.moving_variance = self.moving_variance * float("nan")
"""


def tried(group, *, numpy=False):
    """How many trials a group has, for one convention or for those that bnspec offers."""
    offered = backend_subject("numpy").adapters
    laws = [law for law in LAWS if law.group == group]
    return sum(len(law.cases) * (len(offered[: law.conventions]) if numpy else 1) for law in laws)


def flows_tried(group):
    """How many trials of flows a group has, which only bnspec is tried on."""
    return sum(len(law.cases) for law in FLOW_LAWS if law.group == group)


@pytest.fixture
def run(pytester):
    pytester.syspathinsert()

    def call(*arguments):
        return pytester.runpytest_subprocess(*SUITE, *arguments)

    return call


def test_a_backend_is_tried_and_reported(run, pytester):
    skipped = tried("compiled") + flows_tried("compiled")
    done = run(
        "--bn-backend", "numpy", "--bn-report", "out", "--junitxml", "out/junit.xml", "-k", "running. or compiled."
    )
    assert done.ret == 0
    done.stdout.fnmatch_lines(
        ["bnspec: subjects: numpy", "*running*compiled*", "* numpy*", f"* passed, 0 failed, {skipped} *"]
    )
    found = json.loads((pytester.path / "out/results.json").read_text())
    assert found["summary"]["failed"] == 0
    assert found["summary"]["passed"] == found["table"]["numpy"]["running"]["passed"] > 0
    assert found["table"]["numpy"]["compiled"]["skipped"] == skipped
    assert found["skips"] == {"numpy": {"compile: NumPy has no compiler": skipped}}
    assert 0 < found["table"]["numpy"]["running"]["worst"] <= 1
    assert len(found["trials"]) == sum(found["summary"].values())
    cases = ET.parse(pytester.path / "out/junit.xml").getroot().findall(".//testcase")
    assert len(cases) == len(found["trials"])
    properties = {p.get("name"): p.get("value") for p in cases[0].findall("properties/property")}
    assert properties.keys() == {
        f"bnspec.{name}" for name in ("subject", "group", "law", "case", "convention", "worst", "unbounded")
    }


def test_a_broken_implementation_fails_the_run(run, pytester):
    pytester.makepyfile(mine=BROKEN)
    done = run("--bn-implementation", "mine:Adapter", "--bn-report", "out", "-k", "running")
    assert done.ret == 1
    done.stdout.fnmatch_lines(
        ["*LawBroken: moving_variance of training batch 1 must be *", f"*mine:Adapter*/{tried('running')}*"]
    )
    found = json.loads((pytester.path / "out/results.json").read_text())
    assert found["summary"]["failed"] == tried("running")
    assert all(trial["message"].startswith("bnspec_conformance.checks.LawBroken") for trial in found["trials"])
    assert found["table"]["mine:Adapter"]["running"]["worst"] == "inf"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--bn-backend", "torhc"), "*backend must be registered. Got backend='torhc'. Did you mean 'torch'?*"),
        (("--bn-backend", "cupy"), "*The backend 'cupy' must be importable*pip install 'bnspec?cupy?'*"),
        (("--bn-implementation", "mine"), "*must be given as module:attribute. Got implementation='mine'*"),
        (("--bn-implementation", "nowhere:Adapter"), "*No module named 'nowhere'*"),
        (("--bn-implementation", "mine:Adaptor"), "*must have the attribute 'Adaptor'*Did you mean 'Adapter'?*"),
        (("--bn-implementation", "mine:Sound.convention"), "*must have the attribute*"),
        (("--bn-implementation", "mine:NOTHING"), "*an adapter must be callable and have a convention*"),
        (("--bn-implementation", "mine:Gap"), "*gaps must name capabilities. Got gap='gradient'. Did you mean*"),
        (("--bn-implementation", "mine:Mute"), "*each gap must have a reason. Got gap='gradients'*"),
    ],
)
def test_what_cannot_be_tried_is_a_usage_error(run, pytester, arguments, text):
    pytester.makepyfile(
        mine=BROKEN
        + """
    NOTHING = 3
    class Gap(Sound):
        gaps = {"gradient": "no"}
    class Mute(Sound):
        gaps = {"gradients": ""}
    """
    )
    done = run(*arguments)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    (done.stderr if text.startswith("*") and "ERROR" in str(done.stderr) else done.stdout).fnmatch_lines([text])


def test_a_skip_without_a_declared_reason_is_a_failure(run, pytester):
    pytester.makepyfile(
        mine="""
    import pytest
    from bnspec_conformance.mutants import Sound
    class Adapter(Sound):
        def read(self):
            pytest.skip("not today")
    """,
        conftest="""
    import pytest
    @pytest.fixture(autouse=True)
    def impatient(trial):
        if trial.subject.name == "numpy":
            pytest.skip("not now")
    """,
    )
    done = run("--bn-implementation", "mine:Adapter", "--bn-backend", "numpy", "-k", "aliased")
    assert done.ret == 1
    done.assert_outcomes(failed=1, errors=1)
    done.stdout.fnmatch_lines(["*A skip must have a declared reason. Got *not now*"])
    done.stdout.fnmatch_lines(["*aliased_arrays must get an answer. Got Skipped: not today at *"])


def test_an_implementation_is_held_to_what_is_asked_for(run, pytester):
    pytester.makepyfile(
        mine="""
    from bnspec_conformance.mutants import Sound
    class Bare:
        def __init__(self, config):
            self.layer = Sound(config)
            self.load, self.read, self.called = self.layer.load, self.layer.read, self.layer
        def __call__(self, x, training):
            return self.called(x, training)
        def load(self, *values): ...
        def read(self): ...
    class Hangs(Sound):
        def read(self):
            import time
            time.sleep(100)
    """
    )
    pytester.makefile(".toml", known='[[known]]\nlaw = "running.*"\nreason = "slow"\nlink = "https://example.org"\n')
    bare = ("--bn-implementation", "mine:Bare", "--bn-convention", "torch", "-k", "aliased")
    assert run(*bare, "--bn-grade", "definition").ret == 0
    done = run(*bare, "--bn-known-failures", "known.toml")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["*does not fail any more*the run fails*"])
    late = ("--bn-implementation", "mine:Hangs", "--bn-timeout", "0.2", "-k", "aliased", "-n", "1")
    done = run(*late)
    assert done.ret == 1
    done.stdout.fnmatch_lines(["*The adapter hung: it gave no answer*"])
    done = run(*late, "--bn-known-failures", "known.toml", "--bn-report", "out")
    assert done.ret == 1  # nothing has passed
    done.stdout.fnmatch_lines(["*0 passed, 0 failed, 1 known, 0 skipped*"])
    assert json.loads((pytester.path / "out/results.json").read_text())["trials"][0]["outcome"] == "known"
    done = run("--bn-backend", "numpy", "--bn-known-failures", "known.toml", "-k", "aliased")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*give --bn-implementation too*"])


def test_what_an_adapter_leaves_out_is_skipped_and_counted(run, pytester):
    pytester.makepyfile(
        mine="""
    from bnspec_conformance.mutants import Sound
    class Adapter(Sound):
        gaps = {"several axes": "not built", "float16": "no half floats"}
        gradients = property(doc="hidden")
    del Adapter.gradients
    """
    )
    done = run("--bn-implementation", "mine:Adapter", "-k", "axes or dtypes or moments")
    assert done.ret == 0
    done.stdout.fnmatch_lines(["*mine:Adapter: several axes: not built", "*mine:Adapter: float16: no half floats"])


def test_a_warning_on_a_backend_is_an_error_and_on_a_stranger_is_not(run, pytester):
    pytester.makepyfile(
        mine="""
    import warnings
    from bnspec_conformance.mutants import Sound
    class Adapter(Sound):
        def mean(self, x):
            warnings.warn("deprecated")
            return super().mean(x)
    """,
        conftest="""
    import pytest, warnings
    @pytest.fixture(autouse=True)
    def loud(trial):
        if trial.subject.name == "numpy":
            warnings.warn("deprecated")
    """,
    )
    pytester.makeini("[pytest]\nfilterwarnings = error\n")
    assert run("--bn-implementation", "mine:Adapter", "-k", "running").ret == 0


def test_other_tests_are_left_alone(pytester):
    pytester.makepyfile(
        """
    import pytest, warnings
    def test_warns():
        warnings.warn("mine")
    def test_skips():
        pytest.skip("mine")
    """
    )
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(passed=1, skipped=1, warnings=1)
    assert "bnspec" not in done.stdout.str().partition("collected")[2]


def test_properties_of_other_tests_are_left_alone(pytester):
    pytester.makepyfile("def test_physics(record_property):\n    record_property('law', 'Ohm')")
    pytester.makeini("[pytest]\njunit_family = legacy\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_function_that_builds_layers_is_judged_by_its_layers(run, pytester):
    pytester.makepyfile(
        mine="""
    from bnspec_conformance.mutants import Sound
    class Layer(Sound):
        def gradients(self, x, cotangent, training):
            return {name: 0 * value for name, value in super().gradients(x, cotangent, training).items()}
    def factory(config):
        return Layer(config)
    factory.convention = Sound.convention
    """
    )
    done = run("--bn-implementation", "mine:factory", "-k", "vector_jacobian_product")
    assert done.ret == 1
    done.stdout.fnmatch_lines(["*mine:factory*0/*", "0 passed, * failed, 0 skipped"])


def test_gaps_alone_prove_nothing(run, pytester):
    pytester.makepyfile(
        mine="""
    from bnspec_conformance.adapter import CAPABILITIES
    from bnspec_conformance.mutants import Sound
    class Adapter(Sound):
        gaps = dict.fromkeys(CAPABILITIES, "later")
    """
    )
    done = run("--bn-implementation", "mine:Adapter")
    assert done.ret == 1
    done.stdout.fnmatch_lines(
        ["0 passed, 0 failed, * skipped", "mine:Adapter has passed nothing, so nothing is proven*"]
    )


def test_an_old_report_does_not_survive_a_run_that_has_none(run, pytester):
    report = pytester.mkdir("out") / "results.json"
    report.write_text("{}")
    run("--bn-backend", "numpy", "--bn-report", "out", "-k", "no_such_law")
    assert not report.exists()


def test_a_distributed_run_reports_the_same(run):
    pytest.importorskip("xdist")
    done = run("--bn-backend", "numpy", "-k", "running.", "-n", "2")
    assert done.ret == 0
    done.stdout.fnmatch_lines([f"{tried('running', numpy=True)} passed, 0 failed, 0 skipped"])


def test_a_missing_extra_is_named(pytester):
    pytester.makeconftest("import sys; sys.modules['rich'] = None")
    done = pytester.runpytest_subprocess(*SUITE, "--bn-backend", "numpy")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*rich must be installed: pip install 'bnspec?conformance?'*"])


def test_nothing_tried_is_not_green(run):
    assert run("--bn-backend", "numpy", "-k", "no_such_law").ret == pytest.ExitCode.NO_TESTS_COLLECTED
