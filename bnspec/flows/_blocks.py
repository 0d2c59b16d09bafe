"""A flow from its blocks: batch normalization between them, a standard normal below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bnspec.arrays import common_namespace, device_of, dtype_name, fold_in, random_key
from bnspec.bijectors import BatchNormalization, Chain
from bnspec.distributions import MultivariateNormalDiag, TransformedDistribution
from bnspec.errors import message
from bnspec.layers import BatchNormalization as Layer
from bnspec.layers import Positive
from bnspec.variables import Module
from bnspec.variables._found import found

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bnspec.bijectors import Bijector

__all__ = ["all_finite", "flow_of", "normalization", "parts_of", "seeds", "takes_training", "told"]


def seeds(seed: int | None, number: int) -> list[int | None]:
    """Give each of several networks a seed of its own.

    Parameters
    ----------
    seed : int or None
        In [0, 2^64); None lets each draw one that nobody can foresee.
    number : int
        How many.

    Returns
    -------
    list of int or None

    Raises
    ------
    TypeError, ValueError
        If the seed is none.
    """
    if seed is None:
        return [None] * number
    xp = common_namespace(key=np.zeros(0))
    key = random_key(seed, xp=xp)
    words = ([int(word) % 2**32 for word in fold_in(key, block, xp)] for block in range(number))
    return [high * 2**32 + low for high, low in words]


def normalization(momentum: float | None, epsilon: float, number: int) -> BatchNormalization:
    """Make the batch normalization that follows a block.

    Parameters
    ----------
    momentum, epsilon : float
        As of :class:`bnspec.layers.BatchNormalization`.
    number : int
        Of the block, counted from 0 on the side of the data.

    Returns
    -------
    BatchNormalization
        On the last axis. Its constraint keeps gamma positive after an optimizer's step.
    """
    layer = Layer(momentum=momentum, epsilon=epsilon, gamma_constraint=Positive(1e-6))
    return BatchNormalization(layer, name=f"batch_normalization_{number}")


def flow_of(event_size: int, parts: Sequence[Bijector], like: Any, name: str | None) -> TransformedDistribution:
    """Put bijectors on a standard normal.

    Parameters
    ----------
    event_size : int
        D.
    parts : sequence of Bijector
        From the data to the base: the order in which ``inverse`` goes through them.
    like : array or None
        With it, the variables are made at once, in its library, on its device, in its dtype.
    name : str or None
        Of the distribution.

    Returns
    -------
    TransformedDistribution
    """
    base = MultivariateNormalDiag(loc=[0.0] * event_size)
    flow = TransformedDistribution(base, Chain(parts), name=name)
    if like is not None:
        xp = common_namespace(like=like)
        x = xp.zeros((1, event_size), dtype=like.dtype, device=device_of(like))
        flow.log_prob(x, **told(flow, training=False))
    return flow


def all_finite(arrays: Sequence[Any]) -> bool:
    """Tell whether all values of arrays are finite; integers are.

    Parameters
    ----------
    arrays : sequence of array

    Returns
    -------
    bool
    """
    floating = [array for array in arrays if "float" in dtype_name(array.dtype)]
    return all(bool(common_namespace(x=array).all(common_namespace(x=array).isfinite(array))) for array in floating)


def takes_training(part: Any) -> bool:
    """Tell whether something has a batch normalization, which is told by ``training=`` what normalizes.

    Parameters
    ----------
    part : Bijector or Distribution

    Returns
    -------
    bool
    """
    names = part.condition_names
    if names is not None:
        return "training" in names
    return _normalizes(part, [])  # a function that takes whatever it is given is no normalization


def told(part: Any, *, training: bool) -> dict[str, Any]:
    """Return the condition ``training=`` where something takes it.

    Parameters
    ----------
    part : Bijector or Distribution
    training : bool

    Returns
    -------
    dict
        Empty where there is no batch normalization, which would refuse it.
    """
    return {"training": training} if takes_training(part) else {}


def parts_of(flow: TransformedDistribution) -> list[Bijector]:
    """List the parts of a flow in the order in which ``inverse`` goes through them, chains taken apart.

    Parameters
    ----------
    flow : TransformedDistribution
        Its base may be one, too.

    Returns
    -------
    list of Bijector

    Raises
    ------
    TypeError
        If it is none.
    """
    if not isinstance(flow, TransformedDistribution):
        raise TypeError(
            message("flow must be a TransformedDistribution", type=f"{type(flow).__module__}.{type(flow).__qualname__}")
        )
    below = flow.distribution
    return [*_links(flow.bijector), *(parts_of(below) if isinstance(below, TransformedDistribution) else ())]


def _links(bijector: Bijector) -> list[Bijector]:
    if not isinstance(bijector, Chain):
        return [bijector]
    return [link for part in bijector.bijectors for link in _links(part)]


def _normalizes(part: Module, seen: list[Module]) -> bool:
    """Tell whether a module is a batch normalization, or holds one."""
    if isinstance(part, BatchNormalization):
        return True
    if any(part is other for other in seen):
        return False
    seen.append(part)
    return any(_normalizes(held, seen) for held in found(list(vars(part).values()), (Module,)))
