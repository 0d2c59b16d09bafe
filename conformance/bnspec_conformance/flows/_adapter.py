"""What the laws of bijectors and densities ask of who is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._densities import DensityEntry
    from ._entry import Entry

    Array = Any  # numpy.ndarray, or a tuple of them for a structured input

__all__ = ["Density", "Flow", "FlowAdapter"]


class Flow(Protocol):
    """A bijector with its state. Arrays are NumPy's on both sides, with the dtype of the entry.

    ``jacobian(x)`` is optional: the derivative of the flattened output by the flattened event, of shape (*batch, M, M),
    by a framework's own differentiation. So is ``compile()``, which returns a Flow that does the same under a compiler.
    """

    def forward(self, x: Array) -> Array:
        """Map."""

    def inverse(self, y: Array) -> Array:
        """Map back; in training, move the averages."""

    def forward_log_det(self, x: Array, event_ndims: Any = None) -> Array:
        """Return log |det J| of forward, summed over events of a rank."""

    def inverse_log_det(self, y: Array, event_ndims: Any = None) -> Array:
        """Return log |det J| of inverse."""

    def forward_and_log_det(self, x: Array, event_ndims: Any = None) -> tuple[Array, Array]:
        """Return both of forward."""

    def inverse_and_log_det(self, y: Array, event_ndims: Any = None) -> tuple[Array, Array]:
        """Return both of inverse; in training, move the averages once."""

    def forward_event_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of an event after forward."""

    def inverse_event_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of an event before forward."""

    def read(self) -> list[tuple[Array, Array]]:
        """Return the running averages of each batch normalization: mean and variance."""


class Density(Protocol):
    """A distribution, and the state of its bijector."""

    def log_prob(self, value: Array) -> Array:
        """Return the logarithm of the density."""

    def prob(self, value: Array) -> Array:
        """Return the density."""

    def sample(self, shape: tuple[int, ...], seed: int) -> Array:
        """Draw."""

    def sample_and_log_prob(self, shape: tuple[int, ...], seed: int) -> tuple[Array, Array]:
        """Draw, and return the logarithm of the density there."""

    def read(self) -> list[tuple[Array, Array]]:
        """Return the running averages, as of :class:`Flow`."""


class FlowAdapter(Protocol):
    """Builds flows and densities of the catalogue.

    An attribute ``flow_gaps`` is optional: it maps what cannot be done, by the name of a dtype, ``"jacobian"`` or
    ``"compile"``, to the reason.
    """

    def bijector(self, entry: Entry) -> Flow:
        """Build a bijector."""

    def density(self, entry: DensityEntry) -> Density:
        """Build a distribution."""


def flow_gaps_of(adapter: Any) -> Mapping[str, str]:
    """Return what an adapter declares that it cannot do."""
    found: Mapping[str, str] = getattr(adapter, "flow_gaps", {})
    return found
