"""Initializers, regularizers and constraints by name, by configuration or as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

from bnspec.errors import message, nearest

__all__ = ["Configured", "Table", "require_number"]


class Configured:
    """Something callable that is made from numbers, its fields, and is nothing else."""

    fields: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make the same object."""
        return {name: getattr(self, name) for name in self.fields}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), *self.get_config().values()))

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({given})"


class Table:
    """The objects of one kind, by name.

    Parameters
    ----------
    kind : str
        What they are, for the message.
    classes : sequence of type
        Their classes.
    names : mapping
        From each name to what makes the object without arguments.
    """

    def __init__(
        self, kind: str, classes: tuple[type[Configured], ...], names: Mapping[str, Callable[[], Configured]]
    ) -> None:
        self.kind = kind
        self.classes = {made.__name__: made for made in classes}
        self.names = {**self.classes, **names}

    def get(self, argument: str, given: Any) -> Any:
        """Find what an argument names.

        Parameters
        ----------
        argument : str
            The name of the argument, for the message.
        given : str, mapping or callable
            A name; ``{"class_name": ..., "config": {...}}``, as :meth:`serialize` makes it and as Keras does; or a
            callable, which is returned as it is.

        Returns
        -------
        callable

        Raises
        ------
        TypeError, ValueError
            If it is none of these, or there is no such name or field.
        """
        if isinstance(given, str):
            return self._known(argument, given, self.names)()
        if isinstance(given, Mapping):
            made = self._known(argument, given.get("class_name"), self.classes)
            config = given.get("config", {})
            for name in config:
                if name not in made.fields:
                    shown = {argument: given["class_name"], "field": name}
                    raise ValueError(message(f"{argument} must have known fields", nearest(name, made.fields), **shown))
            return made(**config)
        if not callable(given):
            raise TypeError(message(f"{argument} must be the name of {self.kind}, or callable", **{argument: given}))
        return given

    def serialize(self, argument: str, value: Any) -> dict[str, Any]:
        """Describe an object so that JSON can hold it.

        Parameters
        ----------
        argument : str
            The name of the argument, for the message.
        value : callable
            What :meth:`get` returned.

        Returns
        -------
        dict
            What :meth:`get` takes.

        Raises
        ------
        ValueError
            If it is a function of somebody else.
        """
        if type(value) not in self.classes.values():
            raise ValueError(
                message(
                    f"{argument} must be one of bnspec.layers to be saved: {', '.join(self.classes)}",
                    "Keep get_weights(), and make the layer anew.",
                    **{argument: value},
                )
            )
        return {"class_name": type(value).__name__, "config": value.get_config()}

    def _known(self, argument: str, name: Any, names: Mapping[str, Any]) -> Any:
        if name not in names:
            lower = [known for known in names if known.islower()] or list(names)
            raise ValueError(
                message(f"{argument} must name {self.kind}", nearest(str(name), lower), **{argument: name})
            )
        return names[name]


def require_number(name: str, value: Any) -> float:
    """Take a real number.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    value : object
        What came.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(message(f"{name} must be a real number", **{name: value}))
    return float(value)
