"""Settings: the arguments of a layer, checked and resolved, and the way back to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bnspec.arrays import as_axes
from bnspec.batchnorm import BatchNorm, Renorm
from bnspec.batchnorm._definition import DEFAULT
from bnspec.errors import message
from bnspec.layers._configuration import (
    as_convention,
    as_dtype,
    as_renorm,
    require_bools,
    require_compatible,
    require_name,
    serialized_convention,
)
from bnspec.layers._constraints import CONSTRAINTS
from bnspec.layers._initializers import INITIALIZERS, Constant
from bnspec.layers._regularizers import REGULARIZERS

if TYPE_CHECKING:
    from bnspec.conventions import Convention
    from bnspec.layers._objects import Table

__all__ = ["Settings"]

INITIALIZED = ("beta", "gamma", "moving_mean", "moving_variance")
PARAMETERS = ("beta", "gamma")
OBJECTS: dict[str, Table] = {
    **{f"{name}_initializer": INITIALIZERS for name in INITIALIZED},
    **{f"{name}_regularizer": REGULARIZERS for name in PARAMETERS},
    **{f"{name}_constraint": CONSTRAINTS for name in PARAMETERS},
}


@dataclass(frozen=True)
class Settings:
    """The arguments of :class:`bnspec.layers.BatchNormalization`, by name.

    Attributes
    ----------
    arguments : dict
        As they came, all of them.

    Raises
    ------
    TypeError, ValueError
        If one is not as the layer describes it, or two exclude each other.
    """

    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        given = self.arguments
        require_name(given["name"])
        require_bools(**{name: given[name] for name in ("renorm", "trainable", "defer_updates")})
        require_compatible(
            fused=given["fused"],
            renorm=given["renorm"],
            virtual_batch_size=given["virtual_batch_size"],
            adjustment=given["adjustment"],
            axes=as_axes("axis", self.spec.axis),
        )
        _ = self.correction, self.objects, self.dtype  # they raise where they cannot be

    @cached_property
    def convention(self) -> Convention:
        """The convention."""
        return as_convention(self.arguments["convention"])

    @cached_property
    def spec(self) -> BatchNorm:
        """The pure definition."""
        given = self.arguments
        return BatchNorm(
            **{name: given[name] for name in ("axis", "momentum", "epsilon", "center", "scale")},
            convention=self.convention,
            renorm=self.correction if given["renorm"] else None,
            virtual_batch_size=given["virtual_batch_size"],
        )

    @cached_property
    def correction(self) -> Renorm:
        """The limits and the momentum of renormalization, whether there is one or not."""
        momentum = self.arguments["renorm_momentum"]
        if momentum is DEFAULT:
            momentum = 0.99 if self.convention.momentum_weighs == "old" else 0.01
        return as_renorm(self.arguments["renorm_clipping"], momentum)

    @cached_property
    def objects(self) -> dict[str, Any]:
        """Initializers, regularizers and constraints, by argument."""
        given = {name: self.arguments[name] for name in OBJECTS}
        if given["moving_variance_initializer"] is DEFAULT:
            start = self.convention.initial_variance
            given["moving_variance_initializer"] = "ones" if start == 1 else Constant(start)
        optional = {name for name, value in given.items() if value is None and not name.endswith("_initializer")}
        return {name: None if name in optional else table.get(name, given[name]) for name, table in OBJECTS.items()}

    @cached_property
    def dtype(self) -> str | None:
        """The name of the dtype that was asked for."""
        return as_dtype(self.arguments["dtype"])

    def config(self) -> dict[str, Any]:
        """Return arguments that JSON can hold and that make the same settings.

        Returns
        -------
        dict

        Raises
        ------
        ValueError
            If an argument is a function of somebody else.
        """
        given, spec = self.arguments, self.spec
        if given["adjustment"] is not None:
            raise ValueError(
                message(
                    "adjustment is a function and must be None to be saved",
                    "Keep get_weights(), and make the layer anew.",
                    adjustment=given["adjustment"],
                )
            )
        axis = spec.axis
        limits = {name: limit for name in ("rmax", "rmin", "dmax") if (limit := self._limit(name)) is not None}
        return {
            **{name: given[name] for name in ("renorm", "fused", "defer_updates")},
            "axis": list(axis) if isinstance(axis, tuple) else axis,
            **{name: getattr(spec, name) for name in ("momentum", "epsilon", "center", "scale", "virtual_batch_size")},
            **{
                name: None if self.objects[name] is None else table.serialize(name, self.objects[name])
                for name, table in OBJECTS.items()
            },
            "renorm_clipping": limits or None,
            "renorm_momentum": self.correction.momentum,
            "dtype": self.dtype,
            "convention": serialized_convention(self.convention),
        }

    def _limit(self, name: str) -> float | None:
        """Return a limit of the correction unless it is none; infinity is not JSON."""
        limit: float = getattr(self.correction, name)
        return None if limit == getattr(Renorm(), name) else limit
