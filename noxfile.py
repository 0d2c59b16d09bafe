"""Everything that is run on the project: ``nox -l`` lists it.

The sessions share one environment, ``.nox/shared``, because it takes gigabytes. It is made with virtualenv
and pip, not uv: uv would take PyTorch's GPU build where pip finds a CPU build.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import nox

nox.options.error_on_missing_interpreters = True
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests", "conformance", "lint", "types"]

ROOT = Path(__file__).parent
SHARED = ROOT / ".nox" / "shared"
CONSTRAINTS = ROOT / "constraints.txt"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}


def shared(session: nox.Session) -> str:
    """Make the shared environment if it is not there or not of this project's state; return its Python."""
    python = SHARED / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    sources = (ROOT / "pyproject.toml", CONSTRAINTS)
    state = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = SHARED / "state"
    if not stamp.exists() or stamp.read_text() != state:
        session.run(sys.executable, "-m", "virtualenv", "--quiet", "--clear", str(SHARED), external=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS)]
        groups = ["--group", "test", "--group", "lint", "--group", "types"]
        session.run(*install, *groups, "--editable", ".[all]", external=True)
        stamp.write_text(state)
    return str(python)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Test the three packages and the suite itself, with the branch coverage of the definition."""
    python = shared(session)
    run = [python, "-m", "coverage", "run", "-m", "pytest", "conformance/meta_tests"]
    session.run(*run, *session.posargs, env=QUIET, external=True)
    session.run(python, "-m", "coverage", "report", external=True)


@nox.session(venv_backend="none")
def conformance(session: nox.Session) -> None:
    """Hold every backend that is here to every law; the result is in conformance-report/."""
    report = ["--bn-report", "conformance-report", "--junitxml", "conformance-report/junit.xml"]
    run = [shared(session), "-m", "pytest", "--pyargs", "bnspec_conformance", "-r", "fE", *report]
    session.run(*run, *session.posargs, env=QUIET, external=True)


@nox.session(venv_backend="none", default=False)
def accuracy(session: nox.Session) -> None:
    """Print the error of the definition in float32 against the exact result, up to a million elements."""
    session.run(shared(session), "-m", "bnspec_conformance.accuracy", *session.posargs, env=QUIET, external=True)


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
