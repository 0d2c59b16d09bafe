"""Adam, in plain Array API code: the same steps on every backend."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log
from typing import TYPE_CHECKING, Any, NamedTuple

from bnspec.arrays import common_namespace, device_of
from bnspec.errors import message
from bnspec.layers._objects import require_number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Adam", "AdamState"]


class AdamState(NamedTuple):
    """What Adam remembers.

    Attributes
    ----------
    count : array, shape (), int32
        How many steps there were.
    first, second : tuple of array
        The running averages of the gradients and of their squares, of the shapes of the values.
    """

    count: Any
    first: tuple[Any, ...]
    second: tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Adam:
    """Step along the average of the gradients, divided by the root of the average of their squares.

    Parameters
    ----------
    learning_rate : float
        a, positive and finite; 1e-3 in [1]_, 1e-4 for the flows of [2]_.
    beta_1, beta_2 : float
        In (0, 1): what the averages keep at each step.
    epsilon : float
        e, positive and finite, since the root is 0 where there was no gradient; added to the root, after the correction
        of the averages.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    With the gradient g of step t: m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, and the value moves by
    -a m' / (sqrt(v') + e), with m' = m / (1 - b1^t) and v' = v / (1 - b2^t) [1]_. So do ``torch.optim.Adam`` and
    ``optax.adam``. ``keras.optimizers.Adam`` adds its epsilon before the correction: e sqrt(1 - b2^t) in its place.

    1 - b^t is formed as -expm1(t log b), without the cancellation that float32 would have.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, Adam: A method for stochastic optimization, ICLR 2015, arXiv:1412.6980, algorithm 1.
    .. [2] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation,
       arXiv:1705.07057.
    """

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        for name in ("learning_rate", "beta_1", "beta_2", "epsilon"):  # Python's: a checkpoint compares them
            object.__setattr__(self, name, require_number(name, getattr(self, name)))
        for name in ("learning_rate", "epsilon"):
            if not 0.0 < getattr(self, name) < inf:
                raise ValueError(message(f"{name} must be positive and finite", **{name: getattr(self, name)}))
        for name in ("beta_1", "beta_2"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(message(f"{name} must be in (0, 1)", **{name: getattr(self, name)}))

    def init(self, values: Sequence[Any]) -> AdamState:
        """Return the state before the first step.

        Parameters
        ----------
        values : sequence of array
            What is to be optimized, one array at least.

        Returns
        -------
        AdamState

        Raises
        ------
        ValueError
            If there are none.
        """
        if not values:
            raise ValueError(message("values must have an array", "Give trainable variables their values first."))
        xp = common_namespace(**{f"values[{number}]": value for number, value in enumerate(values)})
        count = xp.zeros((), dtype=xp.int32, device=device_of(values[0]))
        zeros = tuple(xp.zeros_like(value) for value in values)
        return AdamState(count, zeros, tuple(xp.zeros_like(value) for value in values))

    def step(
        self, values: Sequence[Any], gradients: Sequence[Any], state: AdamState
    ) -> tuple[tuple[Any, ...], AdamState]:
        """Take a step; a pure function.

        Parameters
        ----------
        values, gradients : sequence of array
            The values, and the gradients of the loss by them.
        state : AdamState
            After the step before.

        Returns
        -------
        values : tuple of array
            After the step.
        state : AdamState

        Raises
        ------
        ValueError
            If there are not as many of all.
        """
        if not len(values) == len(gradients) == len(state.first) == len(state.second):
            raise ValueError(
                message(
                    "there must be a gradient and a state for each value",
                    "Make the state by init(values).",
                    values=len(values),
                    gradients=len(gradients),
                    state=len(state.first),
                )
            )
        xp = common_namespace(count=state.count)
        count = state.count + 1
        first = tuple(self.beta_1 * m + (1.0 - self.beta_1) * g for m, g in zip(state.first, gradients, strict=True))
        second = tuple(
            self.beta_2 * v + (1.0 - self.beta_2) * g * g for v, g in zip(state.second, gradients, strict=True)
        )
        moved = tuple(self._moved(*each, count, xp) for each in zip(values, first, second, strict=True))
        return moved, AdamState(count, first, second)

    def _moved(self, value: Any, first: Any, second: Any, count: Any, xp: Any) -> Any:
        number = xp.astype(count, value.dtype)
        mean = first / -xp.expm1(number * log(self.beta_1))
        size = xp.sqrt(second / -xp.expm1(number * log(self.beta_2)))
        return value - self.learning_rate * mean / (size + self.epsilon)
