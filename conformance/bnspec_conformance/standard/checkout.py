"""The checkout of array-api-tests: whole, unmodified, and at which commits."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bnspec.errors import message

from .functions import VERSION

__all__ = ["STANDARD_COMMIT", "SUITE_COMMIT", "UNKNOWN", "Checkout", "find"]

URL = "https://github.com/data-apis/array-api-tests"
SUITE_COMMIT = "55fcc60179efa2680ddd6cd926ddf17b83530e2b"
"""The commit of array-api-tests that the lists of expected failures were made with."""
STANDARD_COMMIT = "5f847a3858875c682ae901aa22b0413bf24be9da"
"""The commit of array-api that it has as a submodule."""
UNKNOWN = "unknown"
"""The commit of files that are in no git repository."""

_CURE = (
    f"Run git clone --recurse-submodules {URL} && git -C array-api-tests checkout --recurse-submodules "
    f"{SUITE_COMMIT}, and pass the folder: nox -s array_api -- array-api-tests."
)


@dataclass(frozen=True)
class Checkout:
    """A checkout.

    Attributes
    ----------
    path : pathlib.Path
        Its folder.
    suite : str
        The commit of array-api-tests, or `UNKNOWN`.
    standard : str
        The commit of array-api, or `UNKNOWN`.
    """

    path: Path
    suite: str
    standard: str


def find(path: str | None, suite: str | None = None, standard: str | None = None) -> Checkout:
    """Look at a checkout.

    Parameters
    ----------
    path : str or None
        Its folder.
    suite, standard : str, optional
        The commits of array-api-tests and array-api, for files that are in no git repository.

    Returns
    -------
    Checkout
        The checkout with its commits.

    Raises
    ------
    ValueError
        If the folder is not one, lacks its submodule, or is modified.
    """
    if not path:
        raise ValueError(message("PATH of a checkout of array-api-tests must be given", _CURE, PATH=path))
    folder = Path(path).resolve()
    standards = folder / "array-api"
    for needed in (
        folder / "conftest.py",
        folder / "array_api_tests" / "stubs.py",
        standards / "spec" / VERSION / "API_specification",
        standards / "src" / "array_api_stubs" / f"_{VERSION.replace('.', '_')}",
    ):
        if not needed.exists():
            required = "PATH must be a checkout of array-api-tests with its submodule"
            raise ValueError(message(required, _CURE, PATH=path, missing=str(needed.relative_to(folder))))
    if changed := _git(folder, "status", "--porcelain"):
        cure = "Undo the changes, or clone it anew."
        raise ValueError(message("The checkout of array-api-tests must be unmodified", cure, PATH=path, status=changed))
    return Checkout(
        folder, suite or _git(folder, "rev-parse", "HEAD") or UNKNOWN, standard or _commit_of(standards) or UNKNOWN
    )


def _commit_of(folder: Path) -> str:
    return _git(folder, "rev-parse", "HEAD")


def _git(folder: Path, *arguments: str) -> str:
    """Ask git about a folder that is the root of a repository; an empty answer where it is not."""
    git = shutil.which("git")
    if git is None:
        return ""

    def ask(*question: str) -> str:
        command = [git, "-C", str(folder), *question]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603

    # The folder of an unpacked archive may lie inside somebody else's repository.
    root = ask("rev-parse", "--show-toplevel")
    return ask(*arguments) if root and Path(root).resolve() == folder else ""
