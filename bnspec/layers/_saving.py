"""Saved: layers to and from configurations and files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from inspect import signature
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bnspec.errors import message, nearest
from bnspec.layers._serialization import Stored, read, require_convention, restored, write
from bnspec.layers._stateful import Stateful

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

__all__ = ["Saved"]


class Saved(Stateful, ABC):
    """A layer that its configuration and its variables are all of."""

    _input_shape: tuple[int | None, ...] | None = None

    @abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Return arguments that make the same layer."""

    @abstractmethod
    def build(self, input_shape: Sequence[int | None], like: Any) -> None:
        """Make the variables."""

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """The shape that the layer was built for; None before that."""
        return self._input_shape

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a layer.

        Parameters
        ----------
        config : mapping
            Arguments, as :meth:`get_config` returns them; what is missing has its default.

        Returns
        -------
        Saved

        Raises
        ------
        TypeError, ValueError
            If an argument is unknown, or not as described.
        """
        known = tuple(signature(cls).parameters)
        for name in config:
            if name not in known:
                raise ValueError(message("config must have known arguments", nearest(name, known), argument=name))
        return cls(**config)

    def save(self, path: str | PathLike[str]) -> None:
        """Write configuration and variables to a safetensors file.

        Parameters
        ----------
        path : path
            The file; one that is there is replaced.

        Raises
        ------
        ValueError
            If the layer has no variables yet, or as :meth:`get_config`.
        OSError
            If it cannot be written.
        """
        self._require_built()
        about = {"config": self.get_config(), "input_shape": self._input_shape}
        write(path, {name: Stored.of(variable.value) for name, variable in self._variables.items()}, about)

    @classmethod
    def load(cls, path: str | PathLike[str], like: Any = None) -> Self:
        """Make a layer from a file.

        Parameters
        ----------
        path : path
            What :meth:`save` wrote, on any backend.
        like : array, optional
            Gives the library and the device of the variables; by default NumPy's.

        Returns
        -------
        Saved
            Built.

        Raises
        ------
        ValueError
            If the file is damaged, or the library makes another dtype of a variable's.
        TypeError
            If the library has no such dtype.
        OSError
            If it cannot be read.
        """
        arrays, about = read(path)
        layer = cls.from_config(about["config"])
        layer.build(about["input_shape"], like=np.zeros(()) if like is None else like)
        layer._assign(restored(path, arrays, layer._variables))  # noqa: SLF001 - it is this class
        return layer

    def load_weights(self, path: str | PathLike[str]) -> None:
        """Replace the values of all variables by those in a file.

        Parameters
        ----------
        path : path
            What :meth:`save` of a layer with the same variables and convention wrote, on any backend.

        Raises
        ------
        ValueError
            If the layer has no variables yet; if the file is damaged, or its variables, their shapes or dtypes, or
            the convention are others. Then nothing has changed.
        OSError
            If it cannot be read.
        """
        self._require_built()
        arrays, about = read(path)
        require_convention(path, self.get_config()["convention"], about["config"]["convention"])
        self._assign(restored(path, arrays, self._variables))
