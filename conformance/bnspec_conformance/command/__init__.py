"""The ``bnspec`` command."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("hypothesis", "junitparser", "mpmath", "pebble", "rich", "sklearn", "typer")


def main() -> None:
    """Run the command."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        sys.exit(f"{', '.join(missing)} must be installed for the command: pip install 'bnspec[conformance]'")
    # A job that is cancelled must end the processes of the adapter too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    from ._app import app  # noqa: PLC0415 - needs what may be missing

    app()
