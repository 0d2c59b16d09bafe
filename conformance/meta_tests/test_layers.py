"""Who may import whom, and what importing costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BNSPEC, BACKENDS, SUITE = ROOT / "bnspec", ROOT / "backends/bnspec_backends", ROOT / "conformance/bnspec_conformance"
PEERS = SUITE / "peers"
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow", "cupy", "dask", "array_api_strict", "keras"}
OWN = {
    "_numpy": {"array_api_compat"},
    "_array_api_strict": {"array_api_strict"},
    "_torch": {"array_api_compat", "torch"},
    "_jax": {"jax"},
    "_tensorflow": {"tensorflow"},
    "_tensorflow_modes": {"tensorflow"},
    "_tensorflow_namespace": {"tensorflow", "ml_dtypes"},
    "_tensorflow_wrapper": {"tensorflow"},
    "_cupy": {"array_api_compat", "cupy", "cupyx"},
    "_beyond": set(),
    "_base": {"ml_dtypes"},
    "__init__": set(),
}
# What a peer's file may import, when it builds a layer: its library, and what that is written in.
OWN_OF_PEERS = {
    "_keras": set(),
    "__init__": set(),
    "_named": set(),
    "_jax": {"jax"},
    "_tensorflow": {"tensorflow"},
    "_torch": {"torch", "ml_dtypes"},
    "equinox": {"equinox", "jax"},
    "flax": {"flax", "jax"},
    "haiku": {"haiku", "jax"},
    "keras": {"keras", "jax", "tensorflow", "torch"},  # Keras has three backends
    "nflows": {"nflows", "torch"},
    "onnxruntime": {"onnx", "onnxruntime"},
    "tf_keras": {"tf_keras", "tensorflow"},
    "tfp": {"tensorflow_probability", "tensorflow"},
    "torch": {"torch"},
}


def imports(path, *, typing=False, nested=True):
    """Full names of the modules that a file imports, in functions too; in TYPE_CHECKING blocks only if asked."""
    found = set()

    def visit(node):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            return
        if isinstance(node, ast.FunctionDef) and not nested:
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = "." * node.level + (node.module or "")
            found.add(package)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return found


def roots(path):
    return {name.partition(".")[0] for name in imports(path) if not name.startswith(".")}


def is_foreign(name):
    return name and name not in sys.stdlib_module_names


def files(folder):
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in sorted(folder.rglob("*.py"))]


@pytest.mark.parametrize("path", files(BNSPEC))
def test_the_definition_imports_no_framework(path):
    assert {name for name in roots(path) if is_foreign(name)} <= {"bnspec", "array_api_compat", "numpy", "safetensors"}


FLOORS = (
    "errors",
    "registry",
    "conventions",
    "arrays",
    "batchnorm",
    "variables",
    "layers",
    "bijectors",
    "distributions",
    "flows",
    "training",
)


@pytest.mark.parametrize("path", files(BNSPEC))
def test_each_room_imports_only_those_below(path):
    """In type-checking blocks too; the package itself, which re-exports all of them, is above."""
    room = path.relative_to(BNSPEC).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    below = FLOORS[: FLOORS.index(room) + 1]
    used = {name.split(".")[1] for name in imports(path, typing=True) if name.startswith("bnspec.")}
    assert used <= set(below)


@pytest.mark.parametrize("path", files(BACKENDS))
def test_a_backend_imports_its_own_framework_alone(path):
    allowed = {"bnspec", "bnspec_backends", "numpy", *OWN[path.relative_to(BACKENDS).parts[0].removesuffix(".py")]}
    assert {name for name in roots(path) if is_foreign(name)} <= allowed
    private = {name for name in imports(path) if name.startswith("bnspec.") and "._" in name}
    assert not private


@pytest.mark.parametrize("path", files(PEERS))
def test_a_peer_imports_its_own_library_alone_and_late(path):
    allowed = {"bnspec", "bnspec_conformance", "numpy"}
    assert {name for name in roots(path) if is_foreign(name)} <= allowed | OWN_OF_PEERS[path.stem]
    at_once = {name.partition(".")[0] for name in imports(path, nested=False) if not name.startswith(".")}
    assert {name for name in at_once if is_foreign(name)} <= allowed


@pytest.mark.parametrize("path", [each for each in files(SUITE) if PEERS not in each.values[0].parents])
def test_the_suite_imports_no_framework(path):
    allowed = {
        "bnspec",
        "bnspec_conformance",
        "numpy",
        "hypothesis",
        "pytest",
        "rich",
        "mpmath",
        "sklearn",
        "ml_dtypes",
        "matplotlib",
        "junitparser",
        "pebble",
        "safetensors",
        "typer",
    }
    assert {name for name in roots(path) if is_foreign(name)} <= allowed
    assert not {name for name in imports(path) if name.startswith("bnspec.") and "._" in name}


@pytest.mark.parametrize("path", files(SUITE / "oracle"))
def test_the_oracle_shares_nothing_with_what_it_judges(path):
    assert {name for name in roots(path) if is_foreign(name)} <= {"numpy", "mpmath"}
    assert not {name for name in imports(path) if name.startswith("..")}
    typed = {name for name in imports(path, typing=True) if name.startswith("bnspec")}
    assert typed <= {"bnspec", "bnspec.conventions"}  # bnspec itself for Renorm, which is configuration
    assert not [line for line in path.read_text().splitlines() if "from bnspec import" in line and "Renorm" not in line]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_bnspec_loads_no_framework():
    done = run("import sys, bnspec; print(*{name.partition('.')[0] for name in sys.modules})")
    assert done.returncode == 0, done.stderr
    assert not FRAMEWORKS & set(done.stdout.split())


def test_the_plugin_loads_pytest_and_the_standard_library_only():
    done = run("import sys, bnspec_conformance.plugin; print(*{name.partition('.')[0] for name in sys.modules})")
    assert done.returncode == 0, done.stderr
    assert not {"numpy", "rich", "bnspec", *FRAMEWORKS} & set(done.stdout.split())
    assert "pytest" in done.stdout.split()


# TensorFlow imports JAX by itself where it is installed.
@pytest.mark.parametrize(
    ("name", "others"), [("torch", {"jax", "tensorflow"}), ("jax", {"torch", "tensorflow"}), ("tensorflow", {"torch"})]
)
def test_loading_one_backend_loads_no_other_framework(name, others):
    done = run(f"import sys, bnspec; bnspec.backend({name!r}); print(*{{n.partition('.')[0] for n in sys.modules}})")
    assert done.returncode == 0, done.stderr
    assert not others & set(done.stdout.split())
