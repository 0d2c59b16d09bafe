"""Metamorphic: what one call gives follows from what another gives, whatever both are.

Both calls are the implementation's own. Each is within its bound of an exact value that nobody has to know here,
because the exact values of the two are related; see `bounds.apart`. What must not be written is in `purity`, other
layouts of memory are in `axes`, and gamma and beta that are the arrays of the averages in `running`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from bnspec_conformance import bounds, expectation
from bnspec_conformance.cases import (
    COMPANIONS,
    COUNTED,
    EXACT_OFFSETS,
    IMAGES,
    REORDERED,
    REPEATED,
    SCALED,
    STATES,
    Case,
    as_rows_of_pixels,
    backwards,
    elsewhere,
    repeated,
    scaled,
    shifted,
)
from bnspec_conformance.laws._common import evaluated
from bnspec_conformance.laws._law import law

if TYPE_CHECKING:
    from bnspec_conformance.adapter import Adapter, Layer
    from bnspec_conformance.bounds import Grade
    from bnspec_conformance.checks import Checks

    Array = np.ndarray[Any, Any]

_AVERAGES = ("moving_mean", "moving_variance")
_OFFSETS = (1024.0, -4096.0)
_FACTORS = (2.0**-9, 2.0**11)
_SCALING = ("any gamma",)  # k^2 times epsilon is larger than any gamma


class _Relation(NamedTuple):
    """By what the data are multiplied, and what is added to them."""

    factor: float = 1.0
    offset: float = 0.0


@law("metamorphic", EXACT_OFFSETS, conventions=2)
def offset(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """What is added to the input is added to the running mean, and changes nothing else.

    Data far from zero, such as pixel values, dates or prices, come out otherwise than centred ones.
    """
    for by in _OFFSETS:
        _require_related(adapter, case, shifted(case, by), _Relation(offset=by), grade, checks)


@law("metamorphic", SCALED, requires=_SCALING, conventions=2)
def scale(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """Under k^2 times epsilon, k times the input has the same output, k times the mean and k^2 times the variance.

    A change of units, or of the learning rate of the layer below, changes what the network computes.
    """
    for factor in _FACTORS:
        _require_related(adapter, case, scaled(case, factor), _Relation(factor), grade, checks)


@law("metamorphic", EXACT_OFFSETS + SCALED, requires=("gradients", *_SCALING), conventions=2)
def gradients_of_moved_input(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """An offset of the input changes no gradient; a factor k, under k^2 times epsilon, divides that of the input.

    The layer below trains otherwise, depending on where its activations happen to lie.
    """
    if case in EXACT_OFFSETS:
        pairs = [(shifted(case, by), _Relation(offset=by)) for by in _OFFSETS]
    else:
        pairs = [(scaled(case, factor), _Relation(factor)) for factor in _FACTORS]
    given = _gradients(adapter, case, case.training[-1], case.cotangent, checks)
    limits = expectation.gradients(case, adapter.convention, True, grade)
    for other, relation in pairs:
        found = _gradients(adapter, other, other.training[-1], case.cotangent, checks)
        others = expectation.gradients(other, adapter.convention, True, grade)
        for name in ("beta",) if _depends_on_scale(adapter, relation, "output") else found:
            factor = 1.0 / relation.factor if name == "x" else 1.0
            bound = bounds.apart(limits[name].bound, others[name].bound, factor)
            what = f"the gradient of {name} of {_told(relation)}"
            dtype = case.dtype if name == "x" else case.parameter_dtype
            checks.agree(what, _undone(found[name], factor), given[name], bound, dtype)


@law("metamorphic", REORDERED)
def order_of_samples(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The order of samples and of pixels changes no average, and outputs go where their elements go.

    Results depend on how a batch was shuffled: elements of different samples or pixels are mixed up.
    """
    limits = expectation.trajectory(case, adapter.convention, grade)
    first, second = case.build(adapter), case.build(adapter)
    for number, (x, limit) in enumerate(zip((*case.training, case.evaluation), limits, strict=True)):
        training = number < len(case.training)
        y, other = first(x.copy(), training), second(_reordered(x, case), training)
        bound = bounds.apart(limit.y.bound, limit.y.bound)
        what = f"the output of batch {number + 1} in another order"
        checks.agree(what, other, _reordered(y, case), _reordered(bound, case), case.output_dtype(adapter.convention))
        _require_same_state(second, first, limit, limit, case, checks, "in another order")


@law("metamorphic", REORDERED, requires=("gradients",))
def gradients_in_any_order(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The gradient of the input goes where its element goes, and those of the parameters do not change.

    Training depends on how a batch was shuffled.
    """
    x, cotangent = case.training[-1], case.cotangent
    given = _gradients(adapter, case, x, cotangent, checks)
    found = _gradients(adapter, case, _reordered(x, case), _reordered(cotangent, case), checks)
    for name, limit in expectation.gradients(case, adapter.convention, True, grade).items():
        if name in found:  # the averages before have gradients too, where they normalize
            put = (lambda array: _reordered(array, case)) if name == "x" else np.asarray
            bound = put(bounds.apart(limit.bound, limit.bound))
            dtype = case.dtype if name == "x" else case.parameter_dtype
            checks.agree(f"the gradient of {name} in another order", found[name], put(given[name]), bound, dtype)


@law("metamorphic", REPEATED, requires=("weighted",), conventions=2)
def weights_repeat_samples(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A weight of 0 deletes a sample, and a whole number repeats it, as if the batch had come so.

    Padding a batch, or storing a sample once with its count, changes the training.
    """
    other = repeated(case)
    pairs = zip(
        expectation.trajectory(case, adapter.convention, grade),
        expectation.trajectory(other, adapter.convention, grade),
        strict=True,
    )
    first, second = case.build(adapter), other.build(adapter)
    for number, (x, weights, (limit, again)) in enumerate(zip(case.training, case.weights, pairs, strict=False)):
        assert weights is not None  # noqa: S101 - narrows the type
        times = weights.reshape(-1).astype(int)
        y = np.repeat(first.weighted(x.copy(), weights.copy()), times, axis=0)  # type: ignore[attr-defined]
        wanted = second(other.training[number].copy(), True)
        bound = bounds.apart(np.repeat(limit.y.bound, times, axis=0), again.y.bound)
        what = f"the output of batch {number + 1} with weights"
        checks.agree(what, y, wanted, bound, case.output_dtype(adapter.convention))
        _require_same_state(first, second, limit, again, case, checks, "with weights")


@law("metamorphic", IMAGES, requires=("rank 2",), conventions=2)
def images_are_rows_of_pixels(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A batch of any rank gives what its elements give as rows, one pixel to an image included.

    A model gives other numbers when its dense layers are written as convolutions of one pixel.
    """
    limits = expectation.trajectory(case, adapter.convention, grade)
    other = as_rows_of_pixels(case)
    first, second = case.build(adapter), other.build(adapter)
    for number, (x, limit) in enumerate(zip((*case.training, case.evaluation), limits, strict=True)):
        training = number < len(case.training)
        rows = (*other.training, other.evaluation)[number]
        y, wanted = first(x.copy(), training), second(rows.copy(), training)
        bound = _columns(bounds.apart(limit.y.bound, limit.y.bound), case)
        what = f"the output of batch {number + 1} at rank {x.ndim}"
        checks.agree(what, _columns(y, case), wanted, bound, case.output_dtype(adapter.convention))
        _require_same_state(first, second, limit, limit, case, checks, f"at rank {x.ndim}")


@law("metamorphic", STATES, conventions=2)
def training_ignores_state_and_momentum(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """The outputs of training batches depend neither on the averages before nor on the momentum.

    Where averages normalize, both have the momentum that keeps nothing of the averages before.
    """
    takes = (0.3, 0.9) if adapter.convention.statistics == "batch" else (1.0, 1.0)
    one, two = elsewhere(case, takes[0], 0.0), elsewhere(case, takes[1], 9.0)
    first, second = one.build(adapter), two.build(adapter)
    limits = (expectation.trajectory(each, adapter.convention, grade) for each in (one, two))
    for number, (x, limit, again) in enumerate(zip(case.training, *limits, strict=False)):
        y, other = first(x.copy(), True), second(x.copy(), True)
        bound = bounds.apart(limit.y.bound, again.y.bound)
        what = f"the output of training batch {number + 1} with another state and momentum"
        checks.agree(what, other, y, bound, case.output_dtype(adapter.convention))


@law("metamorphic", COMPANIONS)
def evaluation_ignores_companions(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """In evaluation, a sample has the same output alone, among others, and among others that are far larger.

    A prediction depends on what else is in the batch: served alone, a sample gets another answer.
    """
    x, dtype = case.evaluation, case.output_dtype(adapter.convention)
    _, bound = evaluated(case)
    among = case.build(adapter)(x.copy(), False)
    for number in (0, len(x) - 1):
        one = slice(number, number + 1)
        larger = x * x.dtype.type(1000)
        larger[one] = x[one]
        limit = bounds.apart(bound[one], bound[one])
        for how, batch in (("alone", x[one].copy()), ("among larger ones", larger)):
            y = case.build(adapter)(batch, False)[one if len(batch) > 1 else slice(1)]
            checks.agree(f"the output of sample {number} {how}", y, among[one], limit, dtype)


@law("metamorphic", COUNTED, requires=("gradients",), conventions=2)
def recomputation_counts_once(adapter: Adapter, case: Case, grade: Grade, checks: Checks) -> None:
    """A gradient in training moves the averages as one training call does, or not at all, however often it computes.

    Both are sound: to differentiate a pass that has been counted, and to count the pass that is differentiated.
    """
    last, first = case.training[-1], case.training[0]
    layer, called = case.build(adapter), case.build(adapter)
    before = [value.tobytes() for value in layer.read()]
    layer.gradients(last.copy(), case.cotangent.copy(), True)  # type: ignore[attr-defined]
    limit = expectation.trajectory(case, adapter.convention, grade)[0]
    if [value.tobytes() for value in layer.read()] != before:
        called(last.copy(), True)
        earlier, limit, _ = expectation.trajectory(backwards(case), adapter.convention, grade)
        _require_same_state(layer, called, earlier, earlier, case, checks, "after a gradient")
    layer(first.copy(), True)
    called(first.copy(), True)
    _require_same_state(layer, called, limit, limit, case, checks, "after a gradient and a training call")


def _require_related(
    adapter: Adapter, case: Case, other: Case, relation: _Relation, grade: Grade, checks: Checks
) -> None:
    """Require what a layer gives on moved data, once the movement is undone, to be what it gives on the data."""
    pairs = zip(*(expectation.trajectory(each, adapter.convention, grade) for each in (case, other)), strict=True)
    layers, batches = (case.build(adapter), other.build(adapter)), (_batches(case), _batches(other))
    for number, (x, moved, (limit, again)) in enumerate(zip(*batches, pairs, strict=True)):
        training = number < len(case.training)
        y, seen = layers[0](x.copy(), training), layers[1](moved.copy(), training)
        how = f"of batch {number + 1} of {_told(relation)}"
        if not _depends_on_scale(adapter, relation, "output" if training else "variance"):
            bound = bounds.apart(limit.y.bound, again.y.bound)
            checks.agree(f"the output {how}", seen, y, bound, case.output_dtype(adapter.convention))
        names = ("moving_mean",) if _depends_on_scale(adapter, relation, "variance") else _AVERAGES
        _require_same_state(layers[1], layers[0], again, limit, case, checks, how, relation, names)


def _require_same_state(
    layer: Layer,
    wanted: Layer,
    again: expectation.Step,
    limit: expectation.Step,
    case: Case,
    checks: Checks,
    how: str,
    relation: _Relation = _Relation(),  # noqa: B008 - immutable
    names: tuple[str, ...] = _AVERAGES,
) -> None:
    """Require the averages of two layers to be the same, but for a relation."""
    changes = (relation.factor, relation.offset), (relation.factor * relation.factor, 0.0)
    for name, seen, other, (factor, by) in zip(_AVERAGES, layer.read(), wanted.read(), changes, strict=True):
        if name in names:
            bound = bounds.apart(getattr(limit, name).bound, getattr(again, name).bound, factor)
            checks.agree(f"{name} {how}", _undone(seen, factor, by), other, bound, case.parameter_dtype)


def _depends_on_scale(adapter: Adapter, relation: _Relation, what: Literal["output", "variance"]) -> bool:
    """Tell where a result is not homogeneous: N - (1 + epsilon) takes epsilon for a number without a unit."""
    reached = what == "variance" or adapter.convention.statistics == "running"
    return reached and relation.factor != 1.0 and adapter.convention.running_variance == "bessel_epsilon"


def _gradients(adapter: Adapter, case: Case, x: Array, cotangent: Array, checks: Checks) -> dict[str, Array]:
    """Differentiate in training, and return the gradients of the input and of the parameters."""
    found = case.build(adapter).gradients(x.copy(), cotangent.copy(), True)  # type: ignore[attr-defined]
    needed = ("x", "gamma", "beta")
    checks.true(f"the gradients in training must include {needed}. Got {sorted(found)}", {*needed} <= found.keys())
    return {name: found[name] for name in needed}


def _batches(case: Case) -> tuple[Array, ...]:
    return (*case.training, case.evaluation)


def _undone(seen: Any, factor: float, offset: float = 0.0) -> Any:
    """Undo a relation in the dtype of the result; what is no array is refused by the comparison."""
    if not isinstance(seen, np.ndarray):
        return seen
    kind = seen.dtype.type
    return np.asarray((seen - kind(offset)) / kind(factor))


def _told(relation: _Relation) -> str:
    return f"{relation.factor:g} times the input plus {relation.offset:g}"


def _reordered(array: Array, case: Case) -> Array:
    """Permute every axis that is averaged over, arrays of one shape alike."""
    for axis in range(array.ndim):
        if axis not in case.axis:
            order = np.random.default_rng([axis, array.shape[axis]]).permutation(array.shape[axis])
            array = np.take(array, order, axis)
    return array


def _columns(array: Array, case: Case) -> Array:
    """Lay the elements of each channel out as one column."""
    return np.moveaxis(array, case.axis[0], -1).reshape(-1, *case.parameter_shape)
