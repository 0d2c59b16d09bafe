"""The adapter protocol: what the author of a batch normalization writes to have it checked."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, cast

from bnspec.conventions import KERAS, Convention
from bnspec.errors import message, nearest

if TYPE_CHECKING:
    import numpy as np

    from bnspec import Renorm

__all__ = [
    "CAPABILITIES",
    "Adapter",
    "Config",
    "Layer",
    "convention_for",
    "gaps_of",
    "load",
]

CAPABILITIES = {
    "float16": "float16 input",
    "bfloat16": "bfloat16 input, as an ml_dtypes array",
    "float32": "float32 input",
    "float64": "float64 input",
    "rank 1": "input of rank 1: one element per channel",
    "rank 2": "input of rank 2",
    "rank 3": "input of rank 3",
    "rank 4": "input of rank 4",
    "rank 5": "input of rank 5",
    "axis 0": "the first axis as the feature axis",
    "axis 1": "the second axis as the feature axis of an input of rank 3 or more",
    "axis -1": "the last axis as the feature axis of an input of rank 3 or more",
    "inner axis": "any other feature axis",
    "several axes": "several feature axes",
    "momentum=None": "the cumulative average",
    "center=False": "no beta",
    "scale=False": "no gamma",
    "any gamma": "gamma of any sign and size; without it, gamma larger than epsilon",
    "refusal": "refusing one element per channel in training, where the convention does; checked is then its output",
    "gradients": "Layer.gradients",
    "hessian_vector_product": "Layer.hessian_vector_product",
    "autodiff": "Layer.autodiff: gradients by a framework's automatic differentiation",
    "compile": "Layer.compile",
    "weighted": "Layer.weighted: training with frequency weights",
    "weighted_gradients": "Layer.weighted_gradients",
    "ghosts": "Config.virtual_batch_size: ghost batches",
    "renorm": "Config.renorm: batch renormalization, with Layer.load_renorm and Layer.read_renorm",
    "adjusted": "Layer.adjusted: training with a scale and a bias between normalization and gamma",
    "adjusted_gradients": "Layer.adjusted_gradients",
    "log_det": "Layer.log_det: the log-det of normalization as a flow has it",
    "adjusted_log_det": "Layer.adjusted_log_det: the same in training with an adjustment",
    "invert": "Layer.invert: back from the output by the running averages",
    "moments": "Adapter.moments",
    "weighted_moments": "Adapter.weighted_moments",
    "batch_normalization": "Adapter.batch_normalization",
    "default": "Adapter.default: the layer as the library builds it when it is told nothing",
    "freeze": "Layer.freeze: what the library has for trainable = False",
}
"""What an adapter may be unable to do, by the name under which its ``gaps`` declare it."""

# Methods that need not be there; where one is missing, that is the declaration.
_OPTIONAL_OF_LAYER = (
    "gradients",
    "autodiff",
    "hessian_vector_product",
    "compile",
    "weighted",
    "weighted_gradients",
    "adjusted",
    "adjusted_gradients",
    "log_det",
    "adjusted_log_det",
    "invert",
    "freeze",
)
_OPTIONAL_OF_ADAPTER = ("moments", "weighted_moments", "batch_normalization", "default")
# Parts of the configuration that few libraries have: only who offers them is asked for them.
_OFFERED = ("ghosts", "renorm")


@dataclass(frozen=True, kw_only=True)
class Config:
    """What an adapter is asked to build.

    Attributes
    ----------
    shape : tuple of int
        The shape S of the input; the sizes of the axes that are averaged over may change from call to call.
    axis : tuple of int
        The feature axes, non-negative and ascending.
    momentum : float or None
        In the direction of the adapter's convention; None is the cumulative average.
    epsilon : float
        Added to the variance.
    center, scale : bool
        Whether there is a beta, and a gamma.
    dtype : str
        The dtype of the input.
    convention : Convention
        The adapter's own convention; Keras's, which then says nothing, where it has none and is to be identified.
    virtual_batch_size : int or None
        The number of samples of a ghost batch.
    renorm : Renorm or None
        The limits and the momentum of batch renormalization.
    """

    shape: tuple[int, ...]
    axis: tuple[int, ...]
    momentum: float | None
    epsilon: float
    center: bool
    scale: bool
    dtype: str
    convention: Convention
    virtual_batch_size: int | None = None
    renorm: Renorm | None = None

    @property
    def num_features(self) -> int:
        """C, the size of the feature axis, where there is one."""
        return self.shape[self.axis[0]]


class Layer(Protocol):
    """One batch normalization with its state. Arrays are NumPy's on both sides.

    An input may be read-only, or a view of any memory layout; one with negative strides may be refused.

    More methods are optional: ``gradients(x, cotangent, training)`` returns a mapping from ``"x"``,
    ``"gamma"``, ``"beta"``, and in evaluation ``"moving_mean"`` and ``"moving_variance"``, as far as it has
    them, to gradients, and in training may move the averages as one training call does, or not at all;
    ``autodiff``, the same by a framework's own differentiation;
    ``hessian_vector_product(x, cotangent, tangent)`` differentiates the gradient of x in training along a
    tangent; ``compile()`` returns a Layer that does the same under a compiler; ``weighted(x, weights)`` is a call in
    training with frequency weights of x's rank that broadcast to x; ``weighted_gradients(x, cotangent, weights)``
    returns gradients as ``gradients`` does, and that of ``"weights"`` if it has it; ``adjusted(x, scale, bias)`` is a
    call in training with arrays that broadcast to x and come between normalization and gamma, and
    ``adjusted_gradients(x, cotangent, scale, bias)`` its gradients. Who offers renormalization has
    ``load_renorm(moving_stddev, renorm_mean, renorm_stddev)``, called after ``load``, and ``read_renorm()``.
    ``freeze()`` does what the library has for ``trainable = False``; calls in training follow. A layer may have
    ``weighted`` in spite of a gap: where an adapter is identified, it tells whether the library takes booleans.

    Three methods are a flow's, whose call normalizes. ``log_det(x, training)`` returns log |det| of what a call does to
    each sample, shape (N,), in the dtype of the output. All axes but the first are the event, so that the positions of
    an image multiply. The statistics are those that normalize in the call with the same arguments, and count as given.
    In training it may move the averages as one training call does, or not at all. ``adjusted_log_det(x, scale, bias)``
    is that of ``adjusted``. ``invert(y)`` returns what evaluation maps to y: it takes the running averages as they are,
    whatever was called before, and moves nothing.
    """

    def load(
        self,
        gamma: np.ndarray[Any, Any] | None,
        beta: np.ndarray[Any, Any] | None,
        moving_mean: np.ndarray[Any, Any],
        moving_variance: np.ndarray[Any, Any],
    ) -> None:
        """Set parameters and running statistics, float32, or float64 for float64 input."""

    def __call__(self, x: np.ndarray[Any, Any], training: bool) -> np.ndarray[Any, Any]:
        """Return the output; in training, update the running statistics."""

    def read(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return moving_mean and moving_variance."""


class Adapter(Protocol):
    """Builds layers: the Layer class itself, or a function that returns one and has a convention.

    An attribute ``gaps`` is optional: it maps capabilities (see `CAPABILITIES`) to the reason why they are
    missing. An attribute ``offers`` is optional: it names parts of the configuration that the adapter has,
    ``"ghosts"`` and ``"renorm"``; optional methods need no such name. No law asks for replicas yet.
    Four functions are optional: ``moments(x, axes, keepdims)``,
    ``weighted_moments(x, axes, frequency_weights, keepdims)``,
    ``batch_normalization(x, mean, variance, offset, scale, variance_epsilon)``, and ``default(shape, dtype)``. The last
    returns a Layer as the library builds it when it is told no more than the shape and the dtype of the input: axis,
    momentum, epsilon and the initial state are then its own, `read` returns that state before anything is loaded, and
    `load` ignores a gamma or a beta that such a layer does not have.
    """

    convention: Convention

    def __call__(self, config: Config) -> Layer:
        """Build a layer."""


def gaps_of(adapter: Adapter, *, convention: bool = True, layers: bool = True) -> dict[str, str]:
    """Collect what an adapter cannot do: what it declares, what it leaves out, and what its convention excludes.

    Parameters
    ----------
    adapter : Adapter
        The adapter.
    convention : bool
        Whether to ask its convention; it need not have one to be identified.
    layers : bool
        Whether to look for the optional methods of its layers. Where a function builds them, it builds one.

    Returns
    -------
    dict
        Capability to reason.

    Raises
    ------
    ValueError
        If a declared capability does not exist, or has no reason.
    """
    gaps = _declared(adapter)
    optional: list[tuple[Any, tuple[str, ...]]] = [(adapter, _OPTIONAL_OF_ADAPTER)]
    if layers:
        known = _layer_of if isinstance(adapter, Hashable) else _layer_of.__wrapped__
        optional.append((known(cast("Hashable", adapter)), _OPTIONAL_OF_LAYER))
    for holder, names in optional:
        for name in names:
            if not hasattr(holder, name):
                gaps.setdefault(name, f"the adapter has no {name}")
    return {**_excluded(adapter.convention), **gaps} if convention else gaps


def _declared(adapter: Adapter) -> dict[str, str]:
    """Collect the gaps that an adapter declares, and what it does not offer."""
    declared = dict(getattr(adapter, "gaps", {}))
    for name, reason in declared.items():
        if name not in CAPABILITIES:
            raise ValueError(message("gaps must name capabilities", nearest(name, CAPABILITIES), gap=name))
        if not reason:
            raise ValueError(message("each gap must have a reason", gap=name))
    offers = tuple(getattr(adapter, "offers", ()))
    for name in offers:
        if name not in _OFFERED:
            raise ValueError(
                message("offers must name parts of the configuration", nearest(name, _OFFERED), offer=name)
            )
    for name in _OFFERED:
        if name not in offers:
            declared.setdefault(name, "the adapter does not offer it")
    if find_spec("ml_dtypes") is None:
        declared.setdefault("bfloat16", "ml_dtypes is not installed: pip install 'bnspec[half]'")
    return declared


def _excluded(convention: Convention) -> dict[str, str]:
    """Return what has no meaning, or is not known, under a convention."""
    gaps: dict[str, str] = {}
    if convention.statistics == "running":
        gaps |= dict.fromkeys(_OFFERED, "running averages that normalize go without it")
    if convention.statistics == "running" or convention.normalizing_variance != "population":
        known = "the second derivative is known where the batch's population variance normalizes"
        gaps["hessian_vector_product"] = known
    return gaps


def convention_for(adapter: Adapter) -> Convention:
    """Return what ``Config.convention`` is: the adapter's own, or Keras's where it has none."""
    own: Convention = getattr(adapter, "convention", KERAS)
    return own


@cache
def _layer_of(adapter: Any) -> Any:
    """Return the class of an adapter's layers, or, where a function builds them, the class of one that it built."""
    if isinstance(adapter, type):
        return adapter
    if hasattr(adapter, "layer"):
        return adapter.layer
    config = Config(
        shape=(4, 3),
        axis=(1,),
        momentum=0.3,
        epsilon=1e-3,
        center=True,
        scale=True,
        dtype="float32",
        convention=convention_for(adapter),
    )
    return adapter(config)


def load(path: str, *, bare: bool = False) -> Adapter:
    """Import an adapter.

    Parameters
    ----------
    path : str
        ``module:attribute``.
    bare : bool
        Whether it need have no convention: where one is named, or is to be identified.

    Returns
    -------
    Adapter

    Raises
    ------
    ValueError
        If the path is malformed.
    ImportError
        If the module cannot be imported or has no such attribute.
    TypeError
        If what is there is no adapter.
    """
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise ValueError(message("an implementation must be given as module:attribute", implementation=path))
    module = import_module(module_name)
    if not hasattr(module, attribute):
        raise ImportError(
            message(
                f"{module_name} must have the attribute {attribute!r}",
                nearest(attribute, (name for name in vars(module) if not name.startswith("_"))),
                implementation=path,
            )
        )
    adapter = getattr(module, attribute)
    if not callable(adapter) or not (bare or isinstance(getattr(adapter, "convention", None), Convention)):
        raise TypeError(
            message(
                "an adapter must be callable and have a convention",
                "Set convention = bnspec.conventions.TORCH, or another, in the class; or name one when you check it.",
                implementation=path,
            )
        )
    checked: Adapter = adapter
    return checked
