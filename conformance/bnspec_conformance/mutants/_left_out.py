"""Known defects that no mutant repeats, and why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LEFT_OUT", "LeftOut"]


class LeftOut(NamedTuple):
    """Defects that are left out for one reason.

    Attributes
    ----------
    what : str
        What they are about.
    references : tuple of str
        Where they have been in public, as of :class:`Mutant`.
    reason : str
        Why no line of mathematics repeats them through an adapter, and what guards against them instead, if anything.
    """

    what: str
    references: tuple[str, ...]
    reason: str


LEFT_OUT: tuple[LeftOut, ...] = (
    LeftOut(
        "a batch of unknown size",
        ("tensorflow/tensorflow#22806",),
        "It raises in a graph whose sizes are not known, where an adapter is called with arrays."
        " Bijectors are traced so in the tests, and what they tell of unknown sizes beforehand is held to a law.",
    ),
    LeftOut(
        "replicas",
        (
            "NVIDIA/apex#262",
            "pytorch/pytorch#36865",
            "pytorch/pytorch#74944",
            "pytorch/pytorch#78656",
            "facebookresearch/detectron2#366",
            "facebookresearch/detectron2#1807",
            "open-mmlab/mmcv#1205",
            "facebookresearch/detectron2, NaiveSyncBatchNorm",
        ),
        "An adapter is one process. They hang, crash or refuse, or weigh replicas alike by design; the arithmetic of"
        " uneven ones is repeated in ghost batches.",
    ),
    LeftOut(
        "freezing",
        (
            "keras-team/keras#4762",
            "keras-team/keras#6570",
            "keras-team/keras#9522",
            "keras-team/keras#9965",
            "nntrainer#1402",
        ),
        "A switch of the layer around, not of a call: the field `freeze` of a convention, tried on released layers.",
    ),
    LeftOut(
        "the mode by default",
        ("google/flax@84da828a",),
        "Every call of an adapter says its mode.",
    ),
    LeftOut(
        "state that keeps a graph",
        ("nflows@36dcabc", "FluxML/Flux.jl#2122", "FluxML/Flux.jl@c850df540"),
        "An adapter hands NumPy arrays out. That no gradient passes the definition's state is tested on each backend.",
    ),
    LeftOut(
        "saving, and differentiating without training",
        (
            "patrick-kidger/equinox@ccb7cb1",
            "patrick-kidger/equinox@9a457bc",
            "patrick-kidger/equinox@863bb64",
            "keras-team/keras@4e1ec93c2",
            "keras-team/keras@20dc637cd6",
        ),
        "An adapter is not saved, and what raises breaks a law anyway. Files of the layer are tested.",
    ),
    LeftOut(
        "conversion of models",
        (
            "apple/coremltools#784",
            "apple/coremltools#1247",
            "apple/coremltools#2462",
            "apple/coremltools#2276",
        ),
        "They fail or misread a graph, whose nodes an adapter does not have.",
    ),
    LeftOut(
        "transformations of programs",
        ("pytorch/functorch#273", "pytorch/functorch#867", "pytorch/functorch#986"),
        "They refuse to write in place; the definition writes nothing.",
    ),
    LeftOut(
        "dtypes that are refused together",
        (
            "NVIDIA/apex#133",
            "NVIDIA/apex#121",
            "fastai#507",
            "Oneflow-Inc/oneflow#9388",
            "chainer/chainer#6323",
            "cupy/cupy#2060",
            "keras-team/keras@46c186ff46",
            "keras-team/keras@f0525e5c07",
        ),
        "The adapter fixes the dtype of parameters and weights by that of the input.",
    ),
    LeftOut(
        "the rank of a mask",
        ("keras-team/keras 3.15.1, a mask of the last axis",),
        "Weights of an adapter have the rank of the input.",
    ),
    LeftOut(
        "a remainder of ghost batches",
        ("dreamquark-ai/tabnet#384", "ludwig-ai/ludwig#3119"),
        "Ghost batches of an adapter divide the batch.",
    ),
    LeftOut(
        "complex numbers",
        (
            "complexPyTorch#8",
            "complexPyTorch#16",
            "complexPyTorch#20",
            "pytorch/pytorch#101256",
            "pytorch/pytorch#81749",
            "google/flax#2502",
            "keras-team/keras#23718",
        ),
        "The definition is of real numbers, and refuses complex ones.",
    ),
    LeftOut(
        "a gradient of gamma that is summed before it is scaled",
        ("pytorch/pytorch#57796",),
        "Sound at the grade of a stranger, where sums may be sequential: a correct variant does it, and passes.",
    ),
    LeftOut(
        "what stands beside batch normalization",
        (
            "FluxML/Flux.jl@a0be6fa83",
            "FluxML/Flux.jl@4d703b31a",
            "pytorch/pytorch#49981",
            "openai/improved-gan#19",
        ),
        "An activation behind it, a shape before it, quantization around it, virtual batch normalization.",
    ),
    LeftOut(
        "tests that cannot fail",
        ("torch/nn#744", "Odyssey#3174", "Mnemosyne#310", "Mnemosyne#479", "Mnemosyne#730"),
        "A cotangent of ones, under which the gradient of the input is 0. A test sees that no law has only such cases.",
    ),
)
"""All of them."""
