"""``python -m bnspec_conformance.command`` is the same as ``bnspec``."""

from . import main

if __name__ == "__main__":
    main()
