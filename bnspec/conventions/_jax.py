"""The conventions of the libraries on JAX: Flax, Haiku and Equinox."""

from __future__ import annotations

from dataclasses import replace

from bnspec.conventions._convention import Convention

__all__ = ["EQUINOX", "EQUINOX_BATCH", "FLAX", "FLAX_NNX", "HAIKU"]

FLAX = Convention(
    name="FLAX",
    axis=-1,
    momentum=0.99,
    epsilon=1e-5,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="flax 0.12.8, flax/linen/normalization.py",
    mask="boolean",
    sync="equal",
    output_dtype="promoted",
)
"""``flax.linen.BatchNorm``, except that a batch without elements, or without any that the mask leaves, leaves the state
alone (the release writes NaN into it)."""

FLAX_NNX = replace(FLAX, name="FLAX_NNX", source="flax 0.12.8, flax/nnx/nn/normalization.py")
"""``flax.nnx.BatchNorm``, with the same exception."""

HAIKU = Convention(
    name="HAIKU",
    axis=-1,
    momentum=0.9,
    epsilon=1e-5,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="dm-haiku 0.0.17, haiku/_src/batch_norm.py and haiku/_src/moving_averages.py",
    average="debiased",
    initial_variance=0.0,
    sync="equal",
    state_dtype="input",
)
"""``haiku.BatchNorm``. It has no default ``decay_rate``: 0.9 is what ``haiku.nets.ResNet`` documents.

The release keeps the biased average beside the debiased one, and its state after ``init`` holds the statistics of the
batch that it was made with. On an empty batch it writes NaN into the state.
"""

EQUINOX = Convention(
    name="EQUINOX",
    axis=1,
    momentum=0.99,
    epsilon=1e-5,
    momentum_weighs="old",
    running_variance="population",
    one_element="update",
    empty_batch="keep",
    source="equinox 0.13.8, equinox/nn/_batch_norm.py, mode='ema'",
    statistics="running",
    average="first",
    initial_variance=0.0,
    sync="equal",
    output_dtype="promoted",
)
"""``equinox.nn.BatchNorm`` with ``mode="ema"``, the default; its axis 0 is that of one example, without the batch.

On an empty batch the release writes NaN into the state, and it refuses half precision.
"""

EQUINOX_BATCH = replace(
    EQUINOX,
    name="EQUINOX_BATCH",
    source="equinox 0.13.8, equinox/nn/_batch_norm.py, mode='batch'",
    statistics="batch",
    average="debiased",
    initial_variance=1.0,
)
"""``equinox.nn.BatchNorm`` with ``mode="batch"``.

The release starts its biased variance at 1 and divides it by 1 - m^n all the same, so that evaluation after n batches
has m^n / (1 - m^n) too much variance. On an empty batch it writes NaN into the state.
"""
