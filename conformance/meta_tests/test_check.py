"""The check of a stranger's implementation: verdicts, explanations, bad adapters, isolation, known failures."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.adapter import CAPABILITIES, gaps_of
from bnspec_conformance.check import Isolation, Request, Unloadable, check, distances, read_known
from bnspec_conformance.check._attempt import case_of
from bnspec_conformance.check._explain import _begins
from bnspec_conformance.check._run import _DRAWN, selected
from bnspec_conformance.check._snippet import prepared
from bnspec_conformance.check._trace import Traced
from bnspec_conformance.identify import compared_cases
from bnspec_conformance.laws import LAWS
from bnspec_conformance.mutants import Sound
from bnspec_conformance.report.explained import render
from bnspec_conformance.report.junit import write_junit

ADAPTERS = """
import dataclasses
import os
import time

import numpy as np

from bnspec_conformance.mutants import Sound


class Good(Sound):
    pass


class Stubborn(Sound):
    def __init__(self, config):
        super().__init__(config)
        self.convention = Sound.convention


class OnePass(Sound):
    def variance(self, x, mean):
        return self.average(x * x) - mean * mean


class Raises(Sound):
    def read(self):
        raise RuntimeError("no state today")


class Exits(Sound):
    def __call__(self, x, training):
        raise SystemExit(0)


class Dies(Sound):
    def __call__(self, x, training):
        if not training:
            os._exit(7)
        return super().__call__(x, training)


class Hangs(Sound):
    def __call__(self, x, training):
        if not training:
            time.sleep(600)
        return super().__call__(x, training)


class Shapes(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training)[None]


class Dtypes(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training).astype("complex64")


class Views(Sound):
    def __call__(self, x, training):
        x[...] = super().__call__(x, training)
        return x


class Lists(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training).tolist()


class Nans(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training) * float("nan")


class Prints(Sound):
    def __call__(self, x, training):
        print("garbage")
        return super().__call__(x, training)


class Nothing(Sound):
    gaps = {f"rank {rank}": "no" for rank in range(1, 6)} | dict.fromkeys(("float32", "float16", "float64"), "no")


class Slow(Sound):
    def __call__(self, x, training):
        time.sleep(1.2)
        return super().__call__(x, training) + 7


class Once(Sound):
    tried = 0

    def __call__(self, x, training):
        Once.tried += 1
        return super().__call__(x, training) + (Once.tried == 1)


class Flaky(Sound):
    made = 0

    def __init__(self, config):
        super().__init__(config)
        Flaky.made += 1
        self.wrong = Flaky.made % 2

    def __call__(self, x, training):
        return super().__call__(x, training) + self.wrong


class Noisy(Sound):
    random = np.random.default_rng(4)

    def __call__(self, x, training):
        return super().__call__(x, training) + Noisy.random.uniform(1, 2)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Unspeakable(Sound):
    def __call__(self, x, training):
        raise Mute


class Control(Sound):
    def __call__(self, x, training):
        raise OSError("\\x1b[31mred\\x00")


class Positive(Sound):
    def load(self, gamma, *others):
        if gamma is not None and (gamma <= self.epsilon).any():
            raise ValueError("gamma must be larger than epsilon")
        super().load(gamma, *others)


class DeclaredPositive(Positive):
    gaps = {"any gamma": "softplus"}


class WritesItsInput(Sound):
    def __call__(self, x, training):
        x += 0
        return super().__call__(x, training)


class Replaces(Sound):
    def __init__(self, config):
        assert dataclasses.replace(config.convention).name == config.convention.name
        config = dataclasses.replace(config, epsilon=2 * config.epsilon)
        super().__init__(config)
        self.size = config.num_features


class Bare:
    def __init__(self, config):
        self.layer = Sound(config)

    def load(self, *values):
        self.layer.load(*values)

    def __call__(self, x, training):
        return self.layer(x, training)

    def read(self):
        return self.layer.read()


NUMBER = 3
"""


@pytest.fixture(scope="module")
def isolation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "strangers.py").write_text(ADAPTERS)
    (folder / "broken_module.py").write_text("import no_such_package\n")
    (folder / "leaving_module.py").write_text("import os\nos._exit(5)\n")
    sys.path.insert(0, str(folder))
    with Isolation() as found:
        yield found
    sys.path.remove(str(folder))


def request(name, convention=None, grade="naive", **options):
    return Request(f"strangers:{name}", convention, grade, **options)


def checked(isolation, name, *select, convention=None, **options):
    return check(request(name, convention), isolation, select=select, **options)


def test_a_sound_implementation_conforms(isolation):
    seen = []
    found = checked(isolation, "Good", progress=lambda done, total: seen.append((done, total)))
    assert found["verdict"] == "conforms"
    assert found["summary"]["failed"] == 0
    assert found["summary"]["passed"] > 100
    assert sum(found["summary"].values()) == len(found["trials"]) == sum(len(law.cases) for law in LAWS)
    assert seen[-1] == (len(found["trials"]),) * 2
    assert found["explanations"] == found["alike"] == found["stale"] == []
    assert json.loads(json.dumps(found)) == found
    assert "strangers:Good conforms" in render(found)


def test_an_explanation_says_what_a_reader_needs(isolation, tmp_path):
    found = checked(isolation, "OnePass", "running")
    assert found["verdict"] == "broken"
    first = found["explanations"][0]
    assert first["law"] == "running.several_steps_then_evaluation"
    assert first["sentence"]
    assert first["effect"]
    assert first["multiple"] > 1.0
    assert "the mean is" in first["begins"]
    assert first["failures"] >= 1
    assert found["alike"][0]["name"] in ("OnePassVariance", "OnePassVarianceUnclamped")
    assert found["alike"][0]["same"] == len(found["explanations"])
    text = render(found)
    for part in (first["law"], "in practice", "smallest input", "times the bound", *found["alike"][0]["references"]):
        assert part in text
    # The snippet needs neither the law nor the suite, and shows the number that the message names.
    (tmp_path / "again.py").write_text(first["snippet"])
    assert "bnspec" not in first["snippet"]
    done = subprocess.run(
        [sys.executable, tmp_path / "again.py"], capture_output=True, text=True, check=True, env=_with_path()
    )
    seen = first["message"].partition("Got ")[2].partition(",")[0]
    assert done.stdout.startswith(f"got {seen} where ")


MUTANTS = "bnspec_conformance.mutants"


@pytest.mark.parametrize(
    ("path", "law", "made"),
    [
        (
            f"{MUTANTS}._calls:UpdatedBeforeTheAffine",
            "running.aliased_arrays",
            "(array_1_0, array_1_1, array_1_1, array_1_0)",
        ),
        (f"{MUTANTS}._layout:ReadAsContiguous", "axes.memory_layout", ".transpose("),
        (f"{MUTANTS}._layout:StrideIgnored", "axes.memory_layout", "::2]"),
        (f"{MUTANTS}._layout:OffsetIgnored", "axes.memory_layout", "[1:, "),
        (f"{MUTANTS}._layout:NegativeStepsIgnored", "axes.memory_layout", "[::-1, "),
        (f"{MUTANTS}._layout:CotangentReadAsContiguous", "axes.gradients_of_any_layout", ".transpose("),
        ("strangers:WritesItsInput", "axes.memory_layout", ".flags.writeable = False"),
        ("strangers:Replaces", "normalization.evaluation", "=record("),
    ],
)
def test_a_snippet_gives_the_arguments_as_the_law_does(isolation, tmp_path, path, law, made):
    found = check(Request(path, None, "naive"), isolation, select=[law])
    (explanation,) = found["explanations"]
    assert made in explanation["snippet"]
    (tmp_path / "again.py").write_text(explanation["snippet"])
    done = subprocess.run(
        [sys.executable, tmp_path / "again.py"], capture_output=True, text=True, check=False, env=_with_path()
    )
    if path.endswith("WritesItsInput"):
        assert "output array is read-only" in done.stderr
    else:
        seen = explanation["message"].partition("Got ")[2].partition(",")[0]
        assert done.stdout.startswith(f"got {seen} where "), done.stderr


def test_a_snippet_writes_any_view():
    memory = np.arange(24.0, dtype="float32").reshape(2, 3, 4).transpose(2, 0, 1).copy(order="K")
    given = [memory, memory[1:3, :, ::-1], memory.T, memory[0], np.broadcast_to(memory[0], (5, 2, 3)), np.zeros((0, 3))]
    calls = Traced(None)
    calls.written(0, "ask", lambda *arguments, **options: None)(*given[:3], last=given[3], wide=given[4], none=given[5])
    (call,) = calls.calls
    lines, names = prepared(7, [*call.arguments, *call.options.values()])
    space = {"np": np}
    exec("\n".join(lines), space)  # noqa: S102 - what was written just now
    for value, copied in zip(given, [*call.arguments, *call.options.values()], strict=True):
        again = space[names[id(copied)]] if value.size else copied
        for found in (copied, again):
            np.testing.assert_array_equal(found, value)
            assert found.dtype == value.dtype
            if value.size:
                assert (found.strides, found.flags.writeable) == (value.strides, value.flags.writeable)
                assert np.shares_memory(found, copied if found is copied else space[names[id(call.arguments[0])]])


def _with_path():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Raises", "RuntimeError: no state today at *strangers.py:*declare in `gaps`"),
        ("Exits", "SystemExit: 0 at "),
        ("Shapes", "must have shape (7, 3). Got shape=(1, 7, 3)"),
        ("Dtypes", "must have dtype float32. Got dtype=complex64"),
        ("Views", "the input must be unchanged to the byte"),
        ("Lists", "must be a NumPy array. Got type=list"),
        ("Nans", "Got nan, "),
    ],
)
def test_a_bad_adapter_gets_a_clear_message_and_the_other_laws_run(isolation, name, text):
    found = checked(isolation, name, "normalization.evaluation", "running.several*", explained=1)
    assert found["verdict"] == "broken"
    messages = [trial["message"] for trial in found["trials"] if trial["outcome"] == "failed"]
    assert messages
    parts = text.split("*")
    for part in parts:
        assert any(part in message for message in messages), messages[0]
    assert len(found["trials"]) == len(selected(["normalization.evaluation", "running.several*"]))


@pytest.mark.parametrize(("name", "text"), [("Hangs", "hung: it gave no answer within"), ("Dies", "exit code 7")])
def test_an_adapter_that_hangs_or_dies_ends_its_own_case_only(isolation, name, text):
    # normalization.training evaluates at its end, purity.outputs_are_kept too; the first law never does.
    found = checked(isolation, name, "degenerate.one_element", "purity.training_output*", timeout=1.0, explained=0)
    outcomes = {trial["outcome"] for trial in found["trials"] if trial["law"] == "training_output_ignores_the_state"}
    assert outcomes == {"passed"}
    ended = [trial for trial in found["trials"] if trial["law"] == "one_element"]
    assert all(trial["outcome"] == "failed" and text in trial["message"] for trial in ended)


def test_what_an_adapter_prints_is_not_in_our_output(isolation, capfd):
    found = checked(isolation, "Prints", "normalization.evaluation")
    assert found["verdict"] == "conforms"
    assert capfd.readouterr().out == ""


def test_nothing_that_was_tried_proves_nothing(isolation):
    found = checked(isolation, "Nothing")
    assert found["verdict"] == "unproven"
    assert found["summary"]["passed"] == 0
    assert "nothing was proven" in render(found)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("strangers", "must be given as module:attribute"),
        ("no_such_module:Thing", "No module named 'no_such_module'"),
        ("broken_module:Thing", "No module named 'no_such_package'"),
        ("leaving_module:Thing", "ended its process with exit code 5"),
        ("strangers:Goood", "Did you mean 'Good'?"),
        ("strangers:NUMBER", "must be callable"),
        ("strangers:Bare", "have a convention"),
    ],
)
def test_what_cannot_be_loaded(isolation, path, text):
    with pytest.raises(Unloadable, match=path.partition(":")[0]) as error:
        check(Request(path, None, "naive"), isolation)
    assert text in str(error.value)


def test_what_is_slow_or_flaky_or_has_no_text_is_reported_all_the_same(isolation, tmp_path):
    select = ("running.aliased_arrays",)
    found = checked(isolation, "Slow", *select)
    assert "times the bound" in found["explanations"][0]["message"]
    found = checked(isolation, "Once", *select)
    assert "tried 5 times more, alone, it fails 0 times" in found["explanations"][0]["message"]
    assert found["alike"] == []
    found = checked(isolation, "Unspeakable", *select)
    assert "Mute: (its text cannot be read)" in found["explanations"][0]["message"]
    found = checked(isolation, "Control", *select)
    write_junit(found, tmp_path / "junit.xml")
    assert "red" in (tmp_path / "junit.xml").read_text()


def test_what_fails_now_and_then_is_not_explained(isolation):
    (explanation,) = checked(isolation, "Flaky", "normalization.evaluation")["explanations"]
    assert re.search(r"That does not repeat: tried 5 times more, alone, it fails [23] times\.$", explanation["message"])
    assert not any(explanation[name] for name in ("reproduced", "begins", "snippet", "smaller", "multiple"))
    # It always fails, each time with another number.
    (explanation,) = checked(isolation, "Noisy", "normalization.evaluation")["explanations"]
    assert explanation["reproduced"]
    assert explanation["snippet"]


@pytest.mark.parametrize("often", [1, 2])
def test_where_a_failure_begins_is_said_if_it_always_begins_there(often):
    class Far(Sound):
        made = 0

        def __init__(self, config):
            super().__init__(config)
            Far.made += 1
            self.wrong = Far.made % often

        def __call__(self, x, training):
            far = (abs(x.mean(0)) > 30 * x.std(0)).any()
            return super().__call__(x, training) + (far or self.wrong)

    law, case = case_of("normalization.evaluation", "mean-1e4")
    told = [_begins(Far, Sound, law, case, "naive") for _ in range(8)]
    assert {"100 standard deviations" in text for text in told} == ({True} if often == 1 else {False})


def test_scales_that_an_adapter_cannot_have_are_skipped_and_counted(isolation):
    found = checked(isolation, "DeclaredPositive")
    assert found["verdict"] == "conforms"
    assert found["skips"]["strangers:DeclaredPositive"]["any gamma: softplus"] > 50
    assert "any gamma: softplus" in render(found)
    assert found["summary"]["passed"] > 20
    found = checked(isolation, "Positive", "normalization.evaluation", explained=1)
    assert found["verdict"] == "broken"
    assert "gamma must be larger than epsilon" in found["explanations"][0]["message"]


def test_two_implementations_are_as_far_apart_as_their_bounds_or_further(isolation):
    def verdicts(one, other):
        apart = distances(one, other, isolation)
        assert len({each.case for each in apart}) == len(apart) > 15
        return apart, {each.verdict for each in apart if each.verdict != "not compared"}

    torch = Request("bnspec_conformance.peers.torch:TORCH", TORCH, "naive")
    same, seen = verdicts(request("Good", TORCH), request("Good", TORCH))
    assert seen == {"agree"}
    assert {each.roundoffs for each in same} == {0.0}
    apart, seen = verdicts(request("Good", TORCH), torch)
    assert seen == {"agree"}
    assert max(each.roundoffs for each in apart) > 0
    assert max(max(each.output, each.moving_mean, each.moving_variance) for each in apart) <= 1
    assert any("the layer has its feature axis at 1" in each.reason for each in apart)
    # Keras divides by N where torch divides by N - 1, and nothing else is different.
    apart, seen = verdicts(request("Good", KERAS), torch)
    assert seen == {"differ"}
    for each in apart:
        if each.verdict == "differ":
            assert each.moving_variance > 10
            assert each.moving_mean <= 1
    assert verdicts(request("Nothing"), request("Good"))[1] == set()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Raises", "RuntimeError: no state today"), ("Shapes", ""), ("Nans", ""), ("Dies", "exit code 7")],
)
def test_no_answer_and_one_that_is_no_number_differ(isolation, monkeypatch, name, reason):
    few = compared_cases()[:2]
    monkeypatch.setattr("bnspec_conformance.check._outputs.compared_cases", lambda: few)
    apart = distances(request(name, TORCH), request("Good", TORCH), isolation)
    assert {each.verdict for each in apart} == {"differ"}
    assert all(reason in each.reason for each in apart)
    assert reason or {each.output for each in apart} == {float("inf")}
    apart = distances(request(name, TORCH), request(name, TORCH), isolation)
    assert {each.verdict for each in apart} == ({"not compared"} if reason else {"agree"})


def test_what_no_law_asks_for_is_no_capability():
    page = (Path(__file__).parents[2] / "docs/check.md").read_text()
    assert "`sync` or `log_det`" in page
    assert not {"sync", "log_det"} & CAPABILITIES.keys()
    with pytest.raises(ValueError, match="gaps must name capabilities"):
        gaps_of(type("Early", (Sound,), {"gaps": {"sync": "no"}}))


def test_drawn_cases_that_are_all_skipped_prove_nothing(isolation):
    found = check(request("Nothing", max_examples=3), isolation, select=["running"])
    assert found["verdict"] == "unproven"
    (drawn,) = [trial for trial in found["trials"] if trial["case"] == "drawn"]
    assert (drawn["outcome"], drawn["reason"]) == ("skipped", drawn["reason"] or None)


def test_a_convention_may_be_named_where_the_adapter_has_none_or_another(isolation):
    select = ("running.several*",)
    assert checked(isolation, "Bare", *select, convention=TORCH)["verdict"] == "conforms"
    found = checked(isolation, "Good", *select, convention=KERAS)
    assert (found["verdict"], found["convention"]["name"]) == ("conforms", "KERAS")
    found = checked(isolation, "Stubborn", *select, convention=KERAS)
    assert found["verdict"] == "broken"
    assert "moving_mean" in found["explanations"][0]["message"]  # its momentum is that of the other


def test_cases_are_drawn_and_what_fails_is_made_small(isolation):
    names = [f"{law.group}.{law.name}" for law in LAWS]
    assert set(_DRAWN) <= set(names)
    drawn = {"seed": 1, "max_examples": 40}
    found = check(request("Good", **drawn), isolation, select=_DRAWN)
    assert found["verdict"] == "conforms"
    assert sum(trial["case"] == "drawn" for trial in found["trials"]) == len(_DRAWN)
    found = check(request("OnePass", **drawn), isolation, select=_DRAWN[:1], explained=0)
    (failed,) = [trial for trial in found["trials"] if trial["case"] == "drawn"]
    assert failed["outcome"] == "failed"


def known_file(tmp_path, text):
    path = tmp_path / "known.toml"
    path.write_text(text)
    return path


LISTED = """
[[known]]
law = "running.*"
case = "{case}"
reason = "one pass"
link = "https://example.org/1"
"""


def test_a_known_failure_is_strict(isolation, tmp_path):
    select = ("running.several*", "normalization.evaluation")
    listed = read_known(known_file(tmp_path, LISTED.format(case="*")))
    found = checked(isolation, "OnePass", *select, known=listed)
    assert found["verdict"] == "conforms"
    assert found["summary"]["known"] >= 1
    assert "one pass (https://example.org/1)" in render(found)
    found = checked(isolation, "Good", *select, known=listed)
    assert found["verdict"] == "broken"
    assert "does not fail any more" in found["stale"][0]
    listed = read_known(known_file(tmp_path, LISTED.format(case="nowhere")))
    assert "matches nothing" in checked(isolation, "Good", *select, known=listed)["stale"][0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[known", "must be TOML"),
        ("other = 1", "nothing else"),
        ('[[known]]\nlaw = "a"\nlink = "https://b"', "must have a reason"),
        ('[[known]]\nlaw = "a"\nreason = "b"', "must have a link"),
        ('[[known]]\nlaw = "a"\nreason = "b"\nlink = "b"', "must be an address"),
        ('[[known]]\nlaw = "a"\nreason = ""\nlink = "https://b"', "must be text"),
        ('[[known]]\nlaw = "a"\nreasons = "b"', "Did you mean 'reason'?"),
    ],
)
def test_a_wrong_list_of_known_failures(tmp_path, text, message):
    with pytest.raises(ValueError, match="known failure") as error:
        read_known(known_file(tmp_path, text))
    assert message in str(error.value)


def test_a_wrong_selection(isolation):
    with pytest.raises(ValueError, match="Did you mean 'running'"):
        checked(isolation, "Good", "runing")


def test_every_law_says_what_follows():
    assert [law.name for law in LAWS if not law.effect or not law.sentence] == []


def test_a_definition_is_held_to_more(isolation):
    found = check(request("Good", grade="definition"), isolation, select=["normalization.training_on*"])
    assert found["grade"] == "definition"
    assert np.isfinite([trial["worst"] for trial in found["trials"] if trial["worst"] is not None]).all()
