"""Backend: what every framework provides to the specification and to the suite."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from bnspec.errors import message, nearest
from bnspec_backends._beyond import Beyond

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

__all__ = ["Backend", "bfloat16"]


@dataclass(frozen=True)
class Backend(Beyond):
    """One array framework, on one device and with one setting.

    Attributes
    ----------
    at : str
        The variant: a device as ``"cuda"``, a setting as ``"x64"``, or the empty string.
    """

    framework: ClassVar[str]

    at: str = ""

    @property
    def name(self) -> str:
        """The name by which the backend is asked for, for example ``"torch:cuda"``."""
        return f"{self.framework}:{self.at}" if self.at else self.framework

    @property
    @abstractmethod
    def version(self) -> str:
        """The version of the framework."""

    @abstractmethod
    def namespace(self) -> Any:
        """Return the Array API namespace that the arrays of this backend belong to."""

    @abstractmethod
    def asarray(self, array: np.ndarray[Any, Any]) -> Any:
        """Copy a NumPy array to the backend, without a change of dtype.

        Parameters
        ----------
        array : numpy.ndarray, shape S
            float16, ``ml_dtypes.bfloat16``, float32, float64 or int32.

        Returns
        -------
        array, shape S
            An array of the framework on this backend's device, that shares no memory with the argument.
        """

    @abstractmethod
    def to_numpy(self, array: Any) -> np.ndarray[Any, Any]:
        """Copy an array of the backend to NumPy, without a change of dtype."""

    def sizes(self, array: Any) -> tuple[Any, ...]:
        """Return the sizes of an array's axes as numbers to compute with.

        Parameters
        ----------
        array : array, shape S

        Returns
        -------
        tuple of int or array
            S, with an integer array of shape () for each size that is not known before the call runs.
        """
        return tuple(array.shape)

    @abstractmethod
    def owns(self, array: Any) -> bool:
        """Tell whether an object is an array of this framework on this backend's device."""

    def is_concrete(self, array: Any) -> bool:
        """Tell whether an array has values now.

        Parameters
        ----------
        array : array
            An array of the framework.

        Returns
        -------
        bool
            False where it stands for an array that a compiler or a transformation traces, as far as the framework
            says so.
        """
        return True

    def has_values(self, array: Any) -> bool:
        """Tell whether Python may look at an array's values here, to check them.

        Parameters
        ----------
        array : array
            An array of the framework.

        Returns
        -------
        bool
            False inside a compiler, even where that does not show in the array.
        """
        return self.is_concrete(array)

    def require_dense(self, name: str, array: Any) -> None:
        """Refuse what the framework counts as an array and is none, such as a sparse one.

        Parameters
        ----------
        name : str
            What the message calls the array.
        array : object
            What came.

        Raises
        ------
        TypeError
            If it is not dense; the message has the cure.
        """

    def gaps(self) -> Mapping[str, str]:
        """Return what the backend cannot do, each capability with its reason.

        Returns
        -------
        mapping
            Keys are a dtype's name, ``"compile"`` or ``"autodiff"``.
        """
        return {}

    def variants(self) -> Mapping[str, str]:
        """Return the variants, each with the reason why it cannot be used here, or an empty string."""
        return {}

    def variant(self, variant: str) -> Self:
        """Return the same backend on another device or with another setting.

        Parameters
        ----------
        variant : str
            One of :meth:`variants`.

        Returns
        -------
        Backend

        Raises
        ------
        ValueError
            If the backend has no such variant.
        RuntimeError
            If the variant cannot be used on this machine; the message says why.
        """
        known = self.variants()
        if variant not in known:
            raise ValueError(
                message(f"{self.framework} must have the variant", nearest(variant, known), variant=variant)
            )
        if known[variant]:
            raise RuntimeError(
                message(f"{self.framework}:{variant} must be present", reason=known[variant], version=self.version)
            )
        return replace(self, at=variant)

    def context(self) -> AbstractContextManager[Any]:
        """Return the context in which all calls on this backend are made."""
        return nullcontext()

    def compile(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compile a function of arrays, or nested tuples of arrays, by the framework's compiler."""
        raise NotImplementedError(message(f"{self.name} must have a compiler", reason=self.gaps().get("compile")))

    def modes(self) -> Mapping[str, Callable[[Callable[..., Any]], Callable[..., Any]]]:
        """Return the ways in which the framework runs a function, other than at once.

        Returns
        -------
        mapping
            From a name to a transformation of functions of arrays, which leaves their meaning alone.
        """
        return {}

    def mode_gaps(self, mode: str) -> Mapping[str, str]:
        """Return what cannot be done in a mode, each capability of the suite with its reason.

        Parameters
        ----------
        mode : str
            One of :meth:`modes`.
        """
        return {}

    def value_and_grad(self, function: Callable[..., Any], *, has_aux: bool = False) -> Callable[..., tuple[Any, Any]]:
        """Differentiate a scalar function by its first argument, a tuple of arrays.

        Parameters
        ----------
        function : callable
            Maps a tuple of arrays, and further arguments, to an array of shape (); with `has_aux`, to a pair of that
            and of whatever else it computes, arrays or nested tuples of arrays.
        has_aux : bool
            Whether there is such a pair, which is then the value.

        Returns
        -------
        callable
            Of the same arguments; returns the value, and a tuple of gradients. It can be differentiated again.
        """
        raise NotImplementedError(
            message(f"{self.name} must have automatic differentiation", reason=self.gaps().get("autodiff"))
        )

    def synchronize(self, array: Any) -> None:
        """Wait until an array has been computed."""


def bfloat16() -> np.dtype[Any]:
    """Return NumPy's bfloat16.

    Returns
    -------
    numpy.dtype

    Raises
    ------
    ImportError
        If ml_dtypes is not installed.
    """
    import ml_dtypes  # noqa: PLC0415 - an extra

    dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return dtype
