"""The namespaces, and a run of array-api-tests on one of them in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bnspec.errors import message, nearest

from .expected import FOLDER
from .functions import VERSION

if TYPE_CHECKING:
    from .checkout import Checkout

__all__ = ["EAGER", "MODES", "NAMESPACES", "OUTCOMES", "ROWS", "UNKNOWN_DIMENSIONS", "XLA", "Namespace", "Row", "run"]

EAGER = "eager"
# The names of bnspec_backends._tensorflow_modes.
UNKNOWN_DIMENSIONS = "tf.function, unknown dimensions"
XLA = "XLA"
MODES = {"tensorflow": (EAGER, "tf.function", UNKNOWN_DIMENSIONS, XLA)}
"""The modes of the namespaces that have others than `EAGER`."""

OUTCOMES = ("failed", "expected failure", "passed", "skipped")
"""What a test comes to."""


@dataclass(frozen=True)
class Namespace:
    """A namespace under test.

    Attributes
    ----------
    module : str
        Its name.
    code : str
        What binds it to ``xp``, with the mode to be filled in; without double quotes and newlines.
    packages : tuple of str
        The distributions whose versions decide about the result.
    """

    module: str
    code: str
    packages: tuple[str, ...]


NAMESPACES: dict[str, Namespace] = {
    "numpy": Namespace("array_api_compat.numpy", "import array_api_compat.numpy as xp", ("numpy", "array-api-compat")),
    "array-api-strict": Namespace(
        "array_api_strict",
        f"import array_api_strict as xp; xp.set_array_api_strict_flags(api_version='{VERSION}')",
        ("array-api-strict", "numpy"),
    ),
    "torch": Namespace("array_api_compat.torch", "import array_api_compat.torch as xp", ("torch", "array-api-compat")),
    "jax:x64": Namespace(
        "jax.numpy", "import jax; jax.config.update('jax_enable_x64', True); import jax.numpy as xp", ("jax", "jaxlib")
    ),
    "tensorflow": Namespace(
        "bnspec_backends._tensorflow_wrapper",
        "from bnspec_backends._tensorflow_modes import MODES; "
        "from bnspec_backends._tensorflow_wrapper import namespace; "
        "xp = namespace(MODES[{mode!r}] if {mode!r} else None)",
        ("tensorflow", "tensorflow-cpu"),
    ),
}
"""By the names of the backends."""

# What an accelerator does is not asked here, and its absence is not to be reported on every start.
_ENVIRONMENT = {
    "ARRAY_API_TESTS_VERSION": VERSION,
    "CUDA_VISIBLE_DEVICES": "-1",
    "JAX_PLATFORMS": "cpu",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "1",
}
_COLLECTED = (0, 1)  # the exit codes of pytest for a run to the end


@dataclass(frozen=True)
class Row:
    """A run.

    Attributes
    ----------
    namespace : str
        A name in `NAMESPACES`.
    mode : str
        How its functions are called.
    functions : str
        ``"needed"``, or ``"exported"`` for all that the main namespace has.
    examples : int
        How many Hypothesis tries at most for each test.
    """

    namespace: str
    mode: str = EAGER
    functions: str = "needed"
    examples: int = 100

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from other runs."""
        return self.namespace, self.mode, self.functions

    @property
    def slug(self) -> str:
        """A name for its files."""
        parts = [self.namespace, *((self.mode,) if self.mode != EAGER else ())]
        return "-".join(parts).lower().replace(", ", "-").replace(" ", "-").replace(":", "-").replace(".", "-")

    @property
    def expected(self) -> Path | None:
        """The list of its expected failures."""
        path = FOLDER / f"{self.slug}.txt"
        return path if path.exists() else None


ROWS: tuple[Row, ...] = (
    Row("numpy"),
    Row("array-api-strict"),
    Row("torch"),
    Row("jax:x64", examples=20),  # every new shape is compiled
    Row("tensorflow"),
    Row("tensorflow", functions="exported"),
    Row("tensorflow", UNKNOWN_DIMENSIONS),
    Row("tensorflow", XLA, examples=10),  # every call is compiled
)
"""What is run by default."""


def run(row: Row, checkout: Checkout, *, strict: bool = True) -> dict[str, Any]:
    """Run array-api-tests on a namespace.

    Parameters
    ----------
    row : Row
        What is run.
    checkout : Checkout
        The suite.
    strict : bool
        Whether an expected failure that passes fails. The lists hold for the examples of `ROWS`; fewer examples find
        less.

    Returns
    -------
    dict
        The row as the report has it, and ``"tests"`` with the outcome of every test.

    Raises
    ------
    ValueError
        If there is no such namespace.
    RuntimeError
        If the suite did not run to its end.
    """
    if row.namespace not in NAMESPACES:
        cure = nearest(row.namespace, NAMESPACES)
        raise ValueError(message("The namespace must be one that is known", cure, namespace=row.namespace))
    with tempfile.TemporaryDirectory() as scratch:
        outcomes = Path(scratch) / "outcomes.json"
        start = time.perf_counter()
        done = subprocess.run(  # noqa: S603
            command(row, outcomes, strict=strict),
            cwd=checkout.path,
            env={**os.environ, **environment(row), "HYPOTHESIS_STORAGE_DIRECTORY": scratch},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        seconds = time.perf_counter() - start
        if done.returncode not in _COLLECTED or not outcomes.exists():
            output = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
            required = "array-api-tests must run to its end"
            raise RuntimeError(message(required, f"It printed:\n{output}", row=row, exit=done.returncode))
        found = json.loads(outcomes.read_text(encoding="utf-8"))
    counts = Counter(test["outcome"] for test in found["tests"])
    return {
        "namespace": row.namespace,
        "mode": row.mode,
        "functions": row.functions,
        "examples": row.examples,
        **{name: counts[name] for name in OUTCOMES},
        "seconds": round(seconds),
        "deselected": found["deselected"],
        "undetermined": sum(test["function"] is None for test in found["tests"]),
        "failures": {test["test"]: test["message"] for test in found["tests"] if test["outcome"] == "failed"},
        "versions": versions(row),
        "array-api-tests": checkout.suite,
        "array-api": checkout.standard,
        "tests": found["tests"],
    }


def command(row: Row, outcomes: Path, *, strict: bool) -> list[str]:
    """Build the command line of a run, for the folder of the checkout.

    Parameters
    ----------
    row : Row
        What is run.
    outcomes : pathlib.Path
        Where the plugin writes.
    strict : bool
        As of :func:`run`.

    Returns
    -------
    list of str
        The command line.
    """
    # Our own plugin has no business there; what it needs to be loaded is not what the suite needs.
    plugins = ["-p", "no:cacheprovider", "-p", "no:bnspec", "-p", "bnspec_conformance.standard.selection"]
    hypothesis = ["--max-examples", str(row.examples), "--disable-deadline", "--derandomize"]
    ours = ["--bn-functions", row.functions, "--bn-outcomes", str(outcomes)]
    listed = ["--xfails-file", str(row.expected), "-o", f"xfail_strict={strict}"] if row.expected else []
    pytest = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--tb=short"]
    return [*pytest, *plugins, *hypothesis, *ours, *listed]


def environment(row: Row) -> dict[str, str]:
    """Build what a run adds to the environment.

    Parameters
    ----------
    row : Row
        What is run.

    Returns
    -------
    dict of str
        The variables.
    """
    mode = None if row.mode == EAGER else row.mode
    return {**_ENVIRONMENT, "ARRAY_API_TESTS_MODULE": f"exec('{NAMESPACES[row.namespace].code.format(mode=mode)}')"}


def versions(row: Row) -> dict[str, str]:
    """Read the versions that decide about the result of a run.

    Parameters
    ----------
    row : Row
        What is run.

    Returns
    -------
    dict of str
        Distributions to versions, those that are installed.
    """
    found = {platform.python_implementation(): platform.python_version()}
    for name in (*NAMESPACES[row.namespace].packages, "hypothesis", "pytest"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
