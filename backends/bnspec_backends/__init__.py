"""Backends of bnspec: one file per framework, each with one ``BACKEND``, found by entry point."""

from bnspec_backends._base import Backend

__all__ = ["Backend"]
