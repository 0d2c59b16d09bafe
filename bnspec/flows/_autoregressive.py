"""Masked autoregressive flow as a whole: autoregressive layers in alternating order, with batch normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.bijectors import AutoregressiveNetwork, Bijector, MaskedAutoregressiveFlow
from bnspec.bijectors._shapes import as_ndims
from bnspec.flows._blocks import flow_of, normalization, seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bnspec.distributions import TransformedDistribution

__all__ = ["masked_autoregressive_flow"]


def masked_autoregressive_flow(
    event_size: int,
    *,
    num_blocks: int = 5,
    hidden_units: Sequence[int] = (100, 100),
    activation: str | Callable[[Any], Any] | None = "relu",
    batch_norm: bool = True,
    momentum: float | None = 0.99,
    epsilon: float = 1e-5,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    like: Any = None,
    name: str | None = "masked_autoregressive_flow",
) -> TransformedDistribution:
    """Make a flow of masked autoregressive layers, each in the reverse order of the one before.

    Parameters
    ----------
    event_size : int
        D, the number of units of an event, at least 2.
    num_blocks : int
        How many layers: 5 and 10 in [1]_.
    hidden_units : sequence of int
        The sizes of the hidden layers of each network: 1 or 2 layers of 100 or 500 units in [1]_.
    activation : str, callable or None
        Of the hidden layers: rectifiers or hyperbolic tangents in [1]_.
    batch_norm : bool
        Whether a batch normalization follows each layer, as in [1]_.
    momentum : float or None
        Of the running averages, which [1]_ has not: there, the statistics of the whole training set are taken instead,
        see :func:`bnspec.flows.estimate_averages`.
    epsilon : float
        Added to the variance: 1e-5 in [1]_.
    kernel_regularizer : str, dict or callable, optional
        Of the kernels: in [1]_ the sum of squares, times 1e-6.
    seed : int, optional
        In [0, 2^64), of the initial kernels.
    like : array, optional
        With it, the variables are made at once, in its library, on its device and in its dtype; otherwise by the first
        call.
    name : str, optional
        Of the distribution.

    Returns
    -------
    TransformedDistribution
        Of vectors, with a standard normal as the base. With batch normalization, ``log_prob(x, training=True)``
        normalizes by the batch. A density calls each network once, a sample D times.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    From the data to the base: for each block the inverse of an autoregressive layer, and the batch normalization of all
    units. The first layer has the order of the units, the second the reverse of it, and so on.

    References
    ----------
    .. [1] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation, NeurIPS 2017,
       arXiv:1705.07057.

    Examples
    --------
    >>> import numpy as np
    >>> from bnspec.flows import masked_autoregressive_flow
    >>> flow = masked_autoregressive_flow(4, num_blocks=2, hidden_units=[8], seed=1)
    >>> flow.log_prob(np.zeros((3, 4)), training=True).shape
    (3,)
    """
    size = as_ndims("event_size", event_size, 2)
    parts: list[Bijector] = []
    for block, own in enumerate(seeds(seed, as_ndims("num_blocks", num_blocks, 1))):
        network = AutoregressiveNetwork(
            2,
            event_shape=size,
            hidden_units=hidden_units,
            input_order="left-to-right" if block % 2 == 0 else "right-to-left",
            activation=activation,
            kernel_regularizer=kernel_regularizer,
            seed=own,
        )
        parts.append(MaskedAutoregressiveFlow(network, name=f"autoregressive_{block}"))
        if batch_norm:
            parts.append(normalization(momentum, epsilon, block))
    return flow_of(size, parts, like, name)
