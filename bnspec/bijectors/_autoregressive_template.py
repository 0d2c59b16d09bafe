"""The network that autoregressive flows had by default, with a logarithm of the scale that is clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.arrays import common_namespace, detached
from bnspec.bijectors._autoregressive_network import AutoregressiveNetwork
from bnspec.bijectors._dense import as_units
from bnspec.errors import message
from bnspec.variables import Module, as_parameter, known_values, require_name, resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["AutoregressiveTemplate", "masked_autoregressive_default_template"]


class AutoregressiveTemplate(Module):
    """Compute a shift and a clipped logarithm of a scale by a masked network.

    Parameters
    ----------
    network : AutoregressiveNetwork
        With 2 parameters, or 1 for the shift alone.
    log_scale_min_clip, log_scale_max_clip : number, list of numbers or array, broadcastable to (*B, D)
        Between which values the logarithm of the scale is.
    log_scale_clip_gradient : bool
        Whether there is no gradient where it is clipped.
    name : str
        Of the template.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described, or the minimum is above the maximum.
    """

    def __init__(
        self,
        network: AutoregressiveNetwork,
        log_scale_min_clip: Any,
        log_scale_max_clip: Any,
        log_scale_clip_gradient: bool,
        name: str,
    ) -> None:
        if not isinstance(log_scale_clip_gradient, bool):
            raise TypeError(
                message("log_scale_clip_gradient must be a bool", log_scale_clip_gradient=log_scale_clip_gradient)
            )
        require_name(name)
        self.name = name
        self.network = network
        self._low = as_parameter("log_scale_min_clip", log_scale_min_clip)
        self._high = as_parameter("log_scale_max_clip", log_scale_max_clip)
        self._clip_gradient = log_scale_clip_gradient
        low, high = known_values(self._low), known_values(self._high)
        if low is not None and high is not None and not (low <= high).all():
            raise ValueError(
                message(
                    "log_scale_min_clip must not be above log_scale_max_clip",
                    log_scale_min_clip=log_scale_min_clip,
                    log_scale_max_clip=log_scale_max_clip,
                )
            )

    @property
    def condition_names(self) -> frozenset[str]:
        """What a call takes besides the units: what the network does."""
        return self.network.condition_names

    def __call__(self, y: Any, conditional_input: Any = None) -> tuple[Any, Any]:
        """Compute the shift and the logarithm of the scale.

        Parameters
        ----------
        y : array, shape (*B, D), real floating
            The units.
        conditional_input : array, shape (*B', C), of y's dtype
            For a conditional network.

        Returns
        -------
        shift : array, shape (*B, D), of y's dtype
        log_scale : array, shape (*B, D), of y's dtype, or None
            None for a network of one parameter.

        Raises
        ------
        TypeError, ValueError
            As :class:`AutoregressiveNetwork`.
        """
        out = self.network(y, conditional_input)
        shift = out[..., 0]
        return shift, None if self.network.params == 1 else self._clipped(out[..., 1])

    def _clipped(self, x: Any) -> Any:
        xp = common_namespace(x=x)
        low = resolved("log_scale_min_clip", self._low, like=x)
        high = resolved("log_scale_max_clip", self._high, like=x)
        found = xp.where(x < low, low, xp.where(x > high, high, x))
        # x - x is 0, and has the gradient of x. Clipped to far away, x + (clipped - x) would lose digits.
        return found if self._clip_gradient else detached(found) + (x - detached(x))


def masked_autoregressive_default_template(
    hidden_layers: Sequence[int],
    shift_only: bool = False,
    activation: str | Callable[[Any], Any] | None = "relu",
    log_scale_min_clip: Any = -5.0,
    log_scale_max_clip: Any = 3.0,
    log_scale_clip_gradient: bool = False,
    name: str | None = None,
    **kwargs: Any,
) -> AutoregressiveTemplate:
    """Make a network for the argument `shift_and_log_scale_fn` of :class:`bnspec.bijectors.MaskedAutoregressiveFlow`.

    Parameters
    ----------
    hidden_layers : sequence of int
        The number of units of each hidden layer, each at least that of an event; empty for none. They lie in blocks,
        one for each unit of an event: ``hidden_degrees="blocks"`` of :class:`AutoregressiveNetwork`.
    shift_only : bool
        Whether there is no scale.
    activation : str, callable or None
        Of the hidden layers.
    log_scale_min_clip, log_scale_max_clip : number, list of numbers or array, broadcastable to (*B, D)
        Between which values the logarithm of the scale is.
    log_scale_clip_gradient : bool
        Whether there is no gradient where it is clipped; by default, the gradient is that of what is clipped.
    name : str, optional
        By default, ``"masked_autoregressive_default_template"``.
    **kwargs
        What :class:`AutoregressiveNetwork` takes, too: `use_bias`, initializers, regularizers, constraints, `seed`, an
        order or a condition.

    Returns
    -------
    AutoregressiveTemplate
        Called as ``fn(y)``, it returns ``(shift, log_scale)``. Its variables are those of the network.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.
    """
    if not isinstance(shift_only, bool):
        raise TypeError(message("shift_only must be a bool", shift_only=shift_only))
    known = "masked_autoregressive_default_template" if name is None else name
    network = AutoregressiveNetwork(
        1 if shift_only else 2,
        hidden_units=as_units("hidden_layers", hidden_layers),
        hidden_degrees="blocks",
        activation=activation,
        name=known,
        **kwargs,
    )
    return AutoregressiveTemplate(network, log_scale_min_clip, log_scale_max_clip, log_scale_clip_gradient, known)
