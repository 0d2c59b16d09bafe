"""The command: what it prints, writes and exits with."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from bnspec import State, convert
from bnspec.conventions import KERAS, TORCH
from bnspec_conformance.adapter import CAPABILITIES
from bnspec_conformance.command import _common, template
from bnspec_conformance.command._app import app

ONE_PASS = ("x.var(axes)", "(x * x).mean(axes) - x.mean(axes) ** 2")


@pytest.fixture
def bnspec(tmp_path, monkeypatch):
    """The command in this process; only adapters run in others, as ever."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # A console asks for the width and the colours of the terminal once, when it is made.
    monkeypatch.setattr(_common.console, "_width", 200)
    monkeypatch.setattr(_common.console, "_color_system", None)

    def call(*arguments, code=0):
        environment = {"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
        done = CliRunner().invoke(app, [*map(str, arguments)], prog_name="bnspec", env=environment)
        assert done.exit_code == code, done.output
        return done.stdout if code in (0, 1, 4) else done.stderr

    return call


@pytest.fixture
def process(tmp_path):
    """The command as it is called."""

    def call(*arguments, code=0):
        path = os.pathsep.join(part for part in sys.path if part)
        environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "bnspec_conformance.command", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.fixture
def broken(tmp_path):
    text = Path(template.__file__).read_text(encoding="utf-8")
    assert ONE_PASS[0] in text
    (tmp_path / "broken.py").write_text(text.replace(*ONE_PASS))
    return "broken:MyBatchNorm"


def test_a_process_prints_and_exits_with_the_same(process, broken, bnspec):
    """The other tests call the command in their own process, which takes a second less each."""
    assert "bnspec check mine:MyBatchNorm" in process("init", "mine.py")
    out = process("check", broken, "--select", "running", "--json", "result.json", code=1)
    assert "running.several_steps_then_evaluation is broken on 1 case" in out
    assert bnspec("report", "result.json", code=1) == out
    assert process("check", "nowhere:Thing", code=3) == ""
    assert process("backends") == bnspec("backends")


def test_a_template_is_written_and_runs(bnspec, tmp_path):
    assert "bnspec check mine:MyBatchNorm" in bnspec("init", "mine.py")
    out = bnspec("check", "mine:MyBatchNorm", "--json", "out/result.json", "--junit", "out/junit.xml")
    assert "mine:MyBatchNorm conforms" in out
    found = json.loads((tmp_path / "out/result.json").read_text())
    assert found["verdict"] == "conforms"
    cases = ET.parse(tmp_path / "out/junit.xml").getroot().findall(".//testcase")
    assert len(cases) == len(found["trials"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["junit.xml", "result.json"]
    assert bnspec("report", "out/result.json") == out
    assert set(template.MyBatchNorm.gaps) <= CAPABILITIES.keys()
    assert "is there already" in bnspec("init", "mine.py", code=2)
    assert "must be a Python module" in bnspec("init", "my-adapter.py", code=2)


def test_a_failing_check_explains_itself(bnspec, broken, tmp_path):
    out = bnspec("check", broken, "--select", "running", "--json", "result.json", "--junit", "junit.xml", code=1)
    for part in (
        "running.several_steps_then_evaluation is broken on 1 case",
        "in practice",
        "OnePassVarianceUnclamped",
    ):
        assert part in out
    assert bnspec("report", "result.json", "--junit", "again.xml", code=1) == out
    suite = ET.parse(tmp_path / "junit.xml").getroot()
    assert len(suite.findall(".//failure")) == json.loads((tmp_path / "result.json").read_text())["summary"]["failed"]
    assert (tmp_path / "junit.xml").read_text() == (tmp_path / "again.xml").read_text()


def test_known_failures_and_selections(bnspec, broken, tmp_path):
    (tmp_path / "known.toml").write_text(
        '[[known]]\nlaw = "running.*"\nreason = "one pass"\nlink = "https://example.org"\n'
    )
    chosen = ("check", broken, "--select", "running", "--select", "normalization.evaluation")
    assert "2 known" in bnspec(*chosen, "--known-failures", "known.toml")
    (tmp_path / "known.toml").write_text("[[known]]\n")
    assert "must have a law" in bnspec(*chosen, "--known-failures", "known.toml", code=2)
    assert "Did you mean" in bnspec("check", broken, "--select", "runing", code=2)
    assert "Did you mean" in bnspec("check", broken, "--convention", "kerras", code=2)


def test_nothing_to_check(bnspec, broken, tmp_path):
    assert "No module named 'nowhere'" in bnspec("check", "nowhere:Thing", code=3)
    assert "Did you mean 'MyBatchNorm'" in bnspec("check", "broken:MyBatchnorm", code=3)
    assert "nothing was proven" in bnspec("check", broken, "--select", "weights", code=4)
    (tmp_path / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "old.json").write_text("{}")
    assert "SystemExit" in bnspec("check", "leaves:Thing", "--json", "old.json", code=3)
    assert not (tmp_path / "old.json").exists()
    assert "must be a file that can be written" in bnspec("check", broken, "--json", "/proc/no/such.json", code=2)
    assert "SystemExit" in bnspec("identify", "leaves:Thing", code=3)


def test_a_report_exits_as_its_check_did(bnspec, tmp_path):
    kept = tmp_path / "result.json"
    cell = {"passed": 1, "failed": 0, "known": 0, "skipped": 0, "worst": None}
    suite = {"table": {"numpy": {"running": cell}}, "absent": {}, "skips": {}, "trials": []}
    for summary, code in (({"passed": 1, "failed": 0}, 0), ({"passed": 1, "failed": 1}, 1), ({"passed": 0}, 4)):
        whole = json.dumps({**suite, "summary": {"failed": 0, "known": 0, "skipped": 2, **summary}})
        kept.write_text(whole)
        assert "2 skipped" in bnspec("report", "result.json", code=code)
    wrong = (
        "{}",
        "[]",
        "3",
        "[" * 10_000,
        whole[:-20],
        '{"table": []}',
        '{"verdict": "fine"}',
        json.dumps(suite),
        "\xff",
    )
    for text in wrong:
        kept.write_bytes(text.encode("latin-1"))
        assert "must be a whole result" in bnspec("report", "result.json", "--junit", "junit.xml", code=2)
    assert not (tmp_path / "junit.xml").exists()


def test_nothing_that_is_observable_names_no_convention(bnspec, tmp_path):
    text = Path(template.__file__).read_text(encoding="utf-8")
    (tmp_path / "mute.py").write_text(text.replace("    def load", "    load = None\n\n    def loads"))
    out = bnspec("identify", "mute:MyBatchNorm", "--json", "seen.json", code=4)
    assert "follows no convention that can be told" in out
    assert "KERAS" not in out
    assert json.loads((tmp_path / "seen.json").read_text())["nearest"] == []
    bnspec("check", "mute:MyBatchNorm", "--convention", "auto", code=4)
    bnspec("compare", "mute:MyBatchNorm", "mute:MyBatchNorm", code=4)


def test_a_convention_is_identified(bnspec, broken, tmp_path):
    out = bnspec("identify", broken, "--json", "seen.json")
    assert "momentum_weighs" in out
    assert "one pass, and may be negative" in out
    assert "follows KERAS" in out
    fields = {field["name"]: field for field in json.loads((tmp_path / "seen.json").read_text())["fields"]}
    assert fields["momentum_weighs"]["value"] == "old"
    (tmp_path / "bare.py").write_text(
        (tmp_path / "broken.py").read_text().replace("    convention = KERAS\n", "").replace(*reversed(ONE_PASS))
    )
    assert "must be callable and have a convention" in bnspec("check", "bare:MyBatchNorm", code=3)
    assert "conforms" in bnspec("check", "bare:MyBatchNorm", "--convention", "auto", "--select", "running")


def test_two_implementations_are_compared(bnspec, broken, tmp_path):
    text = (tmp_path / "broken.py").read_text().replace(*reversed(ONE_PASS))
    (tmp_path / "one.py").write_text(text)
    (tmp_path / "other.py").write_text(text.replace("x.var(axes)", "x.var(axes, ddof=1)"))
    out = bnspec("compare", "one:MyBatchNorm", "other:MyBatchNorm", "--select", "running", code=1)
    assert "normalizing_variance" in out
    assert len(re.findall(r"^ float32, .* differ *$", out, re.MULTILINE)) == 4
    assert re.search(r"not compared +\d+  one:MyBatchNorm: float16: not built yet", out)
    out = bnspec("compare", "one:MyBatchNorm", broken, "--select", "running", "--json", "both.json", code=1)
    assert "The same convention" in out
    kept = json.loads((tmp_path / "both.json").read_text())
    assert len(kept["laws"]) == 2
    # Far from 0 alone, one pass has other numbers.
    assert {each["case"].split(",")[0] for each in kept["outputs"] if each["verdict"] == "differ"} == {"far from 0"}
    assert {each["case"].split(",")[0] for each in kept["outputs"] if each["verdict"] == "agree"} == {"float32"}
    out = bnspec("compare", "one:MyBatchNorm", "one:MyBatchNorm", "--select", "running")
    assert "The same outcomes" in out
    assert len(re.findall(" agree *$", out, re.MULTILINE)) == 6
    assert not re.search(" differ *$", out, re.MULTILINE)
    (tmp_path / "flat.py").write_text(text.replace('"float64",', '"float64", "rank 4",'))
    out = bnspec("compare", "one:MyBatchNorm", "flat:MyBatchNorm", "--select", "running")
    assert re.search(r"tried on one alone: \d+", out)
    (tmp_path / "rare.py").write_text(text.replace('"float64",', '"float32", "rank 1", "rank 2", "rank 3", "rank 4",'))
    out = bnspec("compare", "rare:MyBatchNorm", "rare:MyBatchNorm", "--select", "axes", code=4)
    assert "No case that both can be asked" in out


def test_batch_norms_in_a_file_are_converted(bnspec, tmp_path):
    one = {"weight": [1.5, 2.0], "bias": [0.5, -0.5], "running_mean": [0.25, 1.0], "running_var": [2.0, 1.5]}
    arrays = {f"net.bn.{name}": np.asarray(value, np.float32) for name, value in one.items()}
    arrays["net.bn.num_batches_tracked"] = np.asarray(3)
    arrays["net.fc.weight"] = np.ones((2, 2), np.float32)
    metadata = {"format": "pt", "trained on": "näheres unbekannt"}
    save_file(arrays, tmp_path / "in.safetensors", metadata=metadata)
    given = ("convert", "in.safetensors", "out.safetensors", "--source", "torch", "--target", "keras")
    assert "1 batch norms, from TORCH to KERAS" in bnspec(*given)
    found = load_file(tmp_path / "out.safetensors")
    assert set(found) == {"net.fc.weight"} | {
        f"net.bn.{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance", "num_batches")
    }
    np.testing.assert_array_equal(found["net.bn.moving_variance"], arrays["net.bn.running_var"])
    np.testing.assert_array_equal(found["net.fc.weight"], arrays["net.fc.weight"])
    with safe_open(tmp_path / "out.safetensors", framework="numpy") as opened:
        assert opened.metadata() == metadata
    bnspec(*given, "--keep", "statistics", "--count", "8")
    found = load_file(tmp_path / "out.safetensors")
    state = State(*(arrays[f"net.bn.{name}"] for name in ("running_mean", "running_var", "num_batches_tracked")))
    _, _, expected = convert(state, TORCH, KERAS, keep="statistics", count=8)
    np.testing.assert_array_equal(found["net.bn.moving_variance"], expected.moving_variance)
    assert (found["net.bn.moving_variance"] != arrays["net.bn.running_var"]).all()
    assert bnspec(*given, "--keep", "statistics", code=1) == ""  # the message is on stderr
    del arrays["net.bn.num_batches_tracked"]
    save_file(arrays, tmp_path / "in.safetensors")
    bnspec(*given)
    with safe_open(tmp_path / "out.safetensors", framework="numpy") as opened:
        assert opened.metadata() is None
    save_file({"a": np.ones(2)}, tmp_path / "in.safetensors")
    bnspec(*given, code=1)
    (tmp_path / "in.safetensors").write_bytes(b"something else")
    assert "must be a safetensors file of" in bnspec(*given, code=2)


def test_the_help_and_the_rest(bnspec, tmp_path):
    out = bnspec("--help")
    for name in ("init", "check", "identify", "compare", "convert", "backends", "report", "--install-completion"):
        assert name in out
    assert "Exit codes" in out
    assert "Example:" in bnspec("check", "--help")
    assert bnspec("--version").startswith("bnspec ")
    assert "numpy" in bnspec("backends")
