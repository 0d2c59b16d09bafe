"""The explanations of a check: what is said of a broken law, and the program that shows it again."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from bnspec_conformance.check import Request, check
from bnspec_conformance.check._attempt import case_of
from bnspec_conformance.check._explain import _begins
from bnspec_conformance.check._snippet import prepared
from bnspec_conformance.check._trace import Traced
from bnspec_conformance.mutants import Sound
from bnspec_conformance.report.explained import render
from bnspec_conformance.report.junit import write_junit

from .strangers import checked


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
