"""The check of a stranger's implementation: verdicts, explanations, bad adapters, isolation, known failures."""

import json
from pathlib import Path

import numpy as np
import pytest

from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.adapter import CAPABILITIES, gaps_of
from bnspec_conformance.check import Request, Unloadable, check, distances, read_known
from bnspec_conformance.check._run import _DRAWN, selected
from bnspec_conformance.identify import compared_cases
from bnspec_conformance.laws import LAWS
from bnspec_conformance.mutants import Sound
from bnspec_conformance.report.explained import render

from .strangers import checked, request


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
    assert "there is no capability `sync`" in page
    assert "sync" not in CAPABILITIES
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
