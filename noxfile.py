"""Everything that is run on the project: ``nox -l`` lists it.

The sessions share one environment, ``.nox/shared``, because it takes gigabytes. It is made with virtualenv
and pip, not uv: uv would take PyTorch's GPU build where pip finds a CPU build.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = True
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests", "conformance", "lint", "types"]

ROOT = Path(__file__).parent
SHARED = ROOT / ".nox" / "shared"
CONSTRAINTS = ROOT / "constraints.txt"
# Everything that runs without a GPU, with the smaller build of TensorFlow where there is one.
EXTRAS = "torch,jax,dask,strict,half,conformance"
TENSORFLOW = "tensorflow-cpu" if sys.platform == "linux" else "tensorflow"
# Releases that cannot share an environment with the others.
APART = ("mlx", "paddle", "tinygrad")
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}


def shared(session: nox.Session) -> str:
    """Make the shared environment if it is not there or other things are to be in it; return its Python."""
    python = SHARED / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    settings.pop("tool")
    state = hashlib.sha256(f"{sys.version} {settings} {CONSTRAINTS.read_text(encoding='utf-8')}".encode()).hexdigest()
    stamp = SHARED / "state"
    if not stamp.exists() or stamp.read_text() != state:
        session.run(sys.executable, "-m", "virtualenv", "--quiet", "--clear", str(SHARED), external=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS)]
        groups = ["--group", "test", "--group", "lint", "--group", "types"]
        session.run(*install, *groups, "--editable", f".[{EXTRAS}]", TENSORFLOW, external=True)
        stamp.write_text(state)
    return str(python)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Test the three packages and the suite itself, with the branch coverage of the definition."""
    # Two processes: each loads all frameworks, and takes three gigabytes.
    run = [shared(session), "-m", "pytest", "conformance/meta_tests", "--numprocesses", "2", "--cov", "--cov-branch"]
    session.run(*run, *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none")
def conformance(session: nox.Session) -> None:
    """Hold every backend that is here to every law; the result is in conformance-report/."""
    report = ["--bn-report", "conformance-report", "--junitxml", "conformance-report/junit.xml"]
    run = [
        shared(session),
        "-m",
        "pytest",
        "--pyargs",
        "bnspec_conformance",
        "--numprocesses",
        "2",
        "-r",
        "fE",
        *report,
    ]
    session.run(*run, *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def accuracy(session: nox.Session) -> None:
    """Print the error of the definition in float32 against the exact result, up to a million elements."""
    session.run(shared(session), "-m", "bnspec_conformance.accuracy", *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def bounds(session: nox.Session) -> None:
    """Print how much of each bound is used, per backend and dtype, and how much is attained on hard data."""
    session.run(shared(session), "-m", "bnspec_conformance.sweep", *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def mutants(session: nox.Session) -> None:
    """Print which law kills which mutant, and how many correct variants pass every law."""
    session.run(shared(session), "-m", "bnspec_conformance.matrix", *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def variants(session: nox.Session) -> None:
    """Try every correct variant on 10,000 drawn cases."""
    drawn = ["conformance/meta_tests/test_variants.py", "-k", "drawn", "--hypothesis-profile", "full"]
    session.run(shared(session), "-m", "pytest", *drawn, *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def functions(session: nox.Session) -> None:
    """Measure the functions of the namespaces, values and gradients; the tables are in docs/backends.md."""
    session.run(shared(session), "-m", "bnspec_conformance.functions", *session.posargs, env=QUIET, external=True)


@nox.session(default=False)
def differential(session: nox.Session) -> None:
    """Compare with released libraries on random configurations; the tables are in docs/differential*.md."""
    install = ["--quiet", "--constraint", str(CONSTRAINTS), "--group", "peers"]
    session.install(*install, "--editable", f".[{EXTRAS}]", TENSORFLOW)
    session.run("python", "-m", "differential", *session.posargs, env={**QUIET, "PYTHONPATH": "conformance"})


@nox.session(venv_backend="none", default=False)
def modes(session: nox.Session) -> None:
    """Try every law on every case in every mode of a backend (``-- --backend jax``); see docs/backends.md."""
    session.run(shared(session), "-m", "bnspec_conformance.modes", *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def digits(session: nox.Session) -> None:
    """Train the same network on every framework, and draw the losses; the page is docs/training.md."""
    python = shared(session)
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS), "--group", "docs"]
    session.run(*install, external=True)
    write = ["--docs", "docs"]
    session.run(python, "-m", "bnspec_conformance.digits", *write, *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def example_flow(session: nox.Session) -> None:
    """Train flows on real data on every framework, and evaluate them; the page is docs/flows.md."""
    python = shared(session)
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS), "--group", "docs"]
    session.run(*install, external=True)
    write = ["--docs", "docs"]
    env = {**QUIET, "OMP_NUM_THREADS": "1"}  # the arrays are too small for more
    session.run(python, "-m", "bnspec_conformance.example_flow", *write, *session.posargs, env=env, external=True)


@nox.session(venv_backend="none", default=False)
def array_api(session: nox.Session) -> None:
    """Hold the namespaces to array-api-tests, whose checkout is given: nox -s array_api -- PATH."""
    python = shared(session)
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS), "--group", "array-api"]
    session.run(*install, external=True)
    session.run(python, "-m", "bnspec_conformance.standard", *session.posargs, env=QUIET, external=True)


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """Build the sdist, the wheel from it, and try the wheel where neither our sources nor our settings are."""
    out = Path(session.create_tmp()).resolve()
    for old in (*out.glob("*.whl"), *out.glob("*.tar.gz")):
        old.unlink()
    session.install("build", "check-wheel-contents", "twine")
    session.run("python", "-m", "build", "--outdir", str(out), "--quiet")  # the wheel is built from the sdist
    (built,) = out.glob("*.whl")
    session.run("twine", "check", "--strict", *map(str, out.glob("bnspec-*")))
    packages = "bnspec,bnspec_backends,bnspec_conformance"
    session.run("check-wheel-contents", "--toplevel", packages, str(built))
    session.install("--constraint", str(CONSTRAINTS), f"{built}[conformance,strict,half]")
    session.chdir(out)
    suite = ["python", "-I", "-m", "pytest", "--pyargs", "bnspec_conformance", "-p", "no:cacheprovider"]
    session.run(*suite, "--bn-backend", "numpy", "--bn-backend", "array-api-strict", *session.posargs)
    stranger = out / "stranger"
    shutil.rmtree(stranger, ignore_errors=True)
    stranger.mkdir()
    session.chdir(stranger)
    session.run("bnspec", "init", "my_adapter.py")
    session.run("bnspec", "check", "my_adapter:MyBatchNorm", "--json", "result.json")
    session.run("bnspec", "report", "result.json", silent=True)
    session.run("bnspec", "identify", "my_adapter:MyBatchNorm", "--no-findings")


@nox.parametrize("peers", ["shared", *APART])
@nox.session(default=False)
def conventions(session: nox.Session, peers: str) -> None:
    """Run released layers against their conventions; with ``-- record``, keep what is seen and write the page."""
    if peers == "shared":
        session.install("--constraint", str(CONSTRAINTS), "--group", "peers", ".[torch,jax,conformance]", TENSORFLOW)
    else:
        session.install("--group", f"peers-{peers}", ".[conformance]")
    folder = "conformance/meta_tests/released"
    apart = {name: f"{folder}/test_{name}.py" for name in APART}
    files = [folder, *(f"--ignore={file}" for file in apart.values())] if peers == "shared" else [apart[peers]]
    env = QUIET | {"BNSPEC_PEERS": "required", "BNSPEC_RECORD": "1" if session.posargs == ["record"] else ""}
    if peers == "tinygrad":
        clang = Path(session.create_tmp()).resolve() / "clang"
        clang.write_text(f'#!/bin/sh\nexec {session.bin}/python -m ziglang clang "$@"\n', encoding="utf-8")
        clang.chmod(0o755)
        env |= {"DEV": "CPU", "PATH": f"{clang.parent}{os.pathsep}{os.environ['PATH']}"}
    session.run("python", "-m", "pytest", *files, env=env)
    if session.posargs == ["record"]:
        session.run("python", "-m", "bnspec_conformance.report.conventions")


@nox.session(python=["3.11", "3.12", "3.13"], default=False)
def light(session: nox.Session) -> None:
    """Try every backend but PyTorch's on each supported Python."""
    session.install("--constraint", str(CONSTRAINTS), ".[jax,strict,half,conformance]", TENSORFLOW)
    names = ("numpy", "array-api-strict", "jax", "jax:x64", "tensorflow")
    backends = [part for name in names for part in ("--bn-backend", name)]
    session.chdir(session.create_tmp())
    session.run("python", "-m", "pytest", "--pyargs", "bnspec_conformance", "-q", "-r", "fE", *backends, env=QUIET)


@nox.session(default=False)
def runtime(session: nox.Session) -> None:
    """Run the README's library example with nothing installed but what bnspec itself needs."""
    session.install("--constraint", str(CONSTRAINTS), ".")
    example = (ROOT / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    session.chdir(session.create_tmp())
    session.run("python", "-c", example)
    for name, extra in (("torch", "torch"), ("array-api-strict", "strict")):
        refused = f"""
import bnspec
try:
    bnspec.backend({name!r})
except ImportError as error:
    assert "bnspec[{extra}]" in str(error), error
else:
    raise SystemExit("{name} is installed")
"""
        session.run("python", "-c", refused)
    session.run("bnspec", "check", "my_adapter:MyBatchNorm", success_codes=[1])  # says what to install


@nox.session(python="3.11", default=False)
def lowest(session: nox.Session) -> None:
    """Try the lowest supported version of everything that the definition and the suite need."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    needed = (
        "array-api-compat",
        "numpy",
        "safetensors",
        "array-api-strict",
        "jax",
        "ml-dtypes",
        "pytest",
        "rich",
        "hypothesis",
    )
    floors = {name: re.search(f'"{name}>=([0-9.]+)', text) for name in needed}
    pins = [f"{name}=={found[1]}.*" for name, found in floors.items() if found]
    session.install(*pins, "scikit-learn", ".[strict,half,jax,conformance]")
    session.chdir(session.create_tmp())
    suite = ["python", "-m", "pytest", "--pyargs", "bnspec_conformance", "-q", "-r", "fE"]
    backends = [part for name in ("numpy", "array-api-strict", "jax", "jax:x64") for part in ("--bn-backend", name)]
    session.run(*suite, *backends)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check style and format."""
    python = shared(session)
    session.run(python, "-m", "ruff", "check", ".", external=True)
    session.run(python, "-m", "ruff", "format", "--check", ".", external=True)


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    session.run(shared(session), "-m", "mypy", external=True)
