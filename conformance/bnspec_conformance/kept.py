"""Functions in a mode, each made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Kept"]


class Kept:
    """A transformation of functions that keeps what it made, of one subject at a time.

    Parameters
    ----------
    transform : callable
        One of ``backend.modes()``, or the compiler of a backend.

    Notes
    -----
    To compile costs seconds, and to call microseconds; the laws ask the same of a subject again and again.
    """

    def __init__(self, transform: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        self.transform = transform
        self._of: Hashable = None
        self._made: dict[Hashable, Callable[..., Any]] = {}

    def __call__(self, function: Callable[..., Any], of: Hashable, key: Hashable) -> Callable[..., Any]:
        """Transform a function, or return what was made before.

        Parameters
        ----------
        function : callable
            A function of arrays. All functions of one subject and key compute the same of their arguments.
        of : hashable
            The subject. What was made for another is dropped, so that no more is in memory than one needs.
        key : hashable
            What is computed, and with which options.

        Returns
        -------
        callable
            In the mode: the function, or the first one of that subject and key.
        """
        if of != self._of:
            self._of, self._made = of, {}
        if key not in self._made:
            self._made[key] = self.transform(function)
        return self._made[key]
