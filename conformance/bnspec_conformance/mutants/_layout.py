"""Mutants of axes and memory layout."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._mutant import registry
from ._sound import Sound

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Config

    Array = Any

FOUND, repeats = registry()


@repeats("keras-team/keras#10648", "keras-team/keras#10382")
class FeaturesAlwaysLast(Sound):
    """The features are always on the last axis."""

    def __init__(self, config: Config) -> None:
        super().__init__(replace(config, axis=(len(config.shape) - 1,)))


@repeats("keras-team/keras-core#212", "seld-dcase2021#8", "DefogGAN#1", "DCASE2018#18")
class FeaturesAlwaysSecond(Sound):
    """The features are always on the second axis."""

    def __init__(self, config: Config) -> None:
        super().__init__(replace(config, axis=(min(1, len(config.shape) - 1),)))


@repeats("tracel-ai/burn@c9e344a97")
class MeanOverPixelsOnly(Sound):
    """The mean is taken per image, as instance norm does, and averaged into the state."""

    def normalize(self, x: Array, mean: Array, inverse: Array) -> Array:
        pixels = tuple(axis for axis in self.reduced if axis != 0)
        own = x.mean(axis=pixels, keepdims=True) if self.training and pixels else mean
        return super().normalize(x, own, inverse)


@repeats("keras-team/keras#11123", "keras-team/keras 3.15.1, one channel with a mask")
class OneChannelSqueezed(Sound):
    """The only channel is squeezed away from the statistics."""

    def read(self) -> tuple[Array, Array]:
        return tuple(value.squeeze() if value.shape == (1,) else value for value in super().read())


@repeats("pytorch/pytorch#62967", "pytorch/pytorch#133520", "pytorch/pytorch#134580")
class ReadAsContiguous(Sound):
    """A view is read as if its memory were contiguous."""

    def widen(self, x: Array) -> Array:
        flat = x if x.flags.c_contiguous or not x.flags.f_contiguous else x.ravel(order="K").reshape(x.shape)
        return super().widen(flat)


@repeats("pytorch/pytorch#64039", "pytorch/pytorch#107199", "pytorch/pytorch#121651")
class StrideIgnored(Sound):
    """A slice with a step is read without its step."""

    def widen(self, x: Array) -> Array:
        if x.base is None or x.flags.c_contiguous or x.flags.f_contiguous:
            return super().widen(x)
        return super().widen(np.asarray(x.base).ravel()[: x.size].reshape(x.shape))


@repeats("jax-ml/jax#461")
class FirstAxisReduced(Sound):
    """The first axis is averaged over even where it holds the features of an image."""

    def __init__(self, config: Config) -> None:
        super().__init__(replace(config, axis=(1,)) if config.axis == (0,) and len(config.shape) > 2 else config)


@repeats("pytorch/pytorch#62594")
class CotangentReadAsContiguous(Sound):
    """A cotangent in Fortran order is read as if it were in C order."""

    def gradients(self, x: Array, cotangent: Array, training: bool) -> dict[str, Array]:
        if cotangent.flags.f_contiguous and not cotangent.flags.c_contiguous:
            cotangent = cotangent.ravel(order="K").reshape(cotangent.shape)
        return super().gradients(x, cotangent, training)


@repeats("pytorch/pytorch#174345")
class OffsetIgnored(Sound):
    """A view is read from the beginning of its memory."""

    def widen(self, x: Array) -> Array:
        if x.base is None or x.base.ndim != x.ndim or len(x.base) <= len(x):
            return super().widen(x)
        return super().widen(x.base[: len(x)])


@repeats("microsoft/onnxruntime#7095, a size taken once")
class PixelsOfTheFirstBatch(Sound):
    """The number of pixels is that of the first batch."""

    def count(self, x: Array) -> int:
        pixels = [axis for axis in self.reduced if axis != 0]
        return (x.shape[0] if 0 in self.reduced else 1) * int(np.prod([self.config.shape[axis] for axis in pixels]))


@repeats(
    "microsoft/onnxruntime#17406",
    "microsoft/onnxruntime#7095",
    "pytorch/pytorch#2917",
    "pytorch/pytorch#1004",
    "pytorch/pytorch#16998",
    "pytorch/pytorch#19911",
    "PaddlePaddle/Paddle#43072",
    "apache/mxnet#4997",
    "torch/cunn#298",
)
class RowsTruncated(Sound):
    """Rows beyond 65,535 are left out of the statistics."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        return super().statistics(x[:65_535])


@repeats("pytorch/pytorch#64039, negative steps")
class NegativeStepsIgnored(Sound):
    """A view with negative steps is read in the order of its memory."""

    def widen(self, x: Array) -> Array:
        return super().widen(np.flip(x) if min(x.strides, default=0) < 0 else x)


@repeats("ROCm/MIOpen#2024, the statistics")
class RemainderLeftOut(Sound):
    """Samples beyond a multiple of four are left out of the statistics."""

    def statistics(self, x: Array) -> tuple[Array, Array]:
        return super().statistics(x[: len(x) // 4 * 4] if len(x) > 4 else x)
