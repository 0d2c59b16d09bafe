"""Real NVP as a whole: coupling layers that take turns, with batch normalization between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bnspec.bijectors import Bijector, Permute, RealNVP, real_nvp_default_template
from bnspec.bijectors._shapes import as_ndims
from bnspec.flows._blocks import flow_of, normalization, seeds
from bnspec.flows._scales import BoundedScale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bnspec.distributions import TransformedDistribution

__all__ = ["real_nvp"]


def real_nvp(
    event_size: int,
    *,
    num_blocks: int = 5,
    hidden_units: Sequence[int] = (100, 100),
    activation: str | Callable[[Any], Any] | None = "relu",
    batch_norm: bool = True,
    momentum: float | None = 0.99,
    epsilon: float = 1e-5,
    bounded_scale: bool = True,
    order: Sequence[int] | None = None,
    num_masked: int | None = None,
    kernel_regularizer: Any = None,
    seed: int | None = None,
    like: Any = None,
    name: str | None = "real_nvp",
) -> TransformedDistribution:
    """Make a flow of affine coupling layers, in which one half of the units moves, then the other.

    Parameters
    ----------
    event_size : int
        D, the number of units of an event, at least 2.
    num_blocks : int
        How many coupling layers: 5 and 10 in [2]_.
    hidden_units : sequence of int
        The sizes of the hidden layers of each network: 1 or 2 layers of 100 or 500 units in [2]_.
    activation : str, callable or None
        Of the hidden layers: rectifiers in [1]_.
    batch_norm : bool
        Whether a batch normalization follows each coupling layer, as in both papers.
    momentum : float or None
        Of the running averages; [1]_ names no value. They serve while training goes on: after it, see
        :func:`bnspec.flows.estimate_averages`.
    epsilon : float
        Added to the variance: 1e-5 in [2]_.
    bounded_scale : bool
        Whether the logarithm of a scale is a learned factor times the hyperbolic tangent of what the network returns,
        as in [1]_, or is that itself.
    order : sequence of int, optional
        A permutation of the units; the first of them move second. By default those with even index, then those with
        odd index, as in [2]_. Of images, :func:`bnspec.bijectors.checkerboard_permutation`, as in [1]_.
    num_masked : int, optional
        How many of them stay first, while the others move: by default half of them, rounded up.
    kernel_regularizer : str, dict or callable, optional
        Of the kernels: in [1]_ and [2]_ the sum of squares, times 5e-5 and 1e-6.
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
        normalizes by the batch.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described.

    Notes
    -----
    From the data to the base: a permutation, then for each block the inverse of a coupling layer, and the batch
    normalization of all units. The networks of a coupling layer are one, which returns both shift and log-scale.

    References
    ----------
    .. [1] L. Dinh, J. Sohl-Dickstein, S. Bengio, Density estimation using Real NVP, ICLR 2017, arXiv:1605.08803.
    .. [2] G. Papamakarios, T. Pavlakou, I. Murray, Masked Autoregressive Flow for Density Estimation, NeurIPS 2017,
       arXiv:1705.07057.

    Examples
    --------
    >>> import numpy as np
    >>> from bnspec.flows import real_nvp
    >>> flow = real_nvp(4, num_blocks=2, hidden_units=[8], seed=1)
    >>> flow.log_prob(np.zeros((3, 4)), training=True).shape
    (3,)
    """
    size = as_ndims("event_size", event_size, 2)
    blocks = as_ndims("num_blocks", num_blocks, 1)
    first = (size + 1) // 2 if num_masked is None else as_ndims("num_masked", num_masked, 1)
    units = [*range(0, size, 2), *range(1, size, 2)] if order is None else order
    permute = Permute(units, name="order")
    parts: list[Bijector] = [Permute(_inverted(permute.permutation), name="order")]
    permute.forward_event_shape((size,))  # refuses an order of another size
    for block, own in enumerate(seeds(seed, blocks)):
        network: Any = real_nvp_default_template(
            hidden_units, activation=activation, kernel_regularizer=kernel_regularizer, seed=own
        )
        parts.append(
            RealNVP(
                num_masked=first if block % 2 == 0 else first - size,
                shift_and_log_scale_fn=BoundedScale(network) if bounded_scale else network,
                name=f"coupling_{block}",
            )
        )
        if batch_norm:
            parts.append(normalization(momentum, epsilon, block))
    return flow_of(size, parts, like, name)


def _inverted(order: Sequence[int]) -> tuple[int, ...]:
    """Return the permutation that puts back: ``inverse`` of its bijector sorts the units into the order."""
    return tuple(sorted(range(len(order)), key=order.__getitem__))
