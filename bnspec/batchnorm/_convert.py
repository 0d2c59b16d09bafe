"""Convert parameters and running statistics from one configuration to another."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from numbers import Real
from typing import Any, Literal, NamedTuple

from bnspec.arrays import (
    ACCUMULATES_IN,
    accumulation_dtype,
    common_namespace,
    detached,
    device_of,
    dtype_name,
    require_real_floating,
    shape_of,
)
from bnspec.batchnorm._definition import BatchNorm
from bnspec.batchnorm._history import averages, opposite
from bnspec.batchnorm._keeping import number_of, same_output, same_statistics
from bnspec.batchnorm._layout import Layout
from bnspec.batchnorm._values import Params, State, take
from bnspec.conventions import Convention
from bnspec.errors import message

__all__ = ["Converted", "configured", "convert"]


class Converted(NamedTuple):
    """What a conversion returns: a configuration, and what belongs to it.

    Attributes
    ----------
    spec : BatchNorm
        The target, with its axis, momentum and epsilon.
    params : Params or None
        The parameters; None where none were given.
    state : State
        The running statistics.
    """

    spec: BatchNorm
    params: Params | None
    state: State


def convert(
    state: State,
    source: BatchNorm | Convention,
    target: BatchNorm | Convention,
    *,
    keep: Literal["output", "statistics"],
    params: Params | None = None,
    count: float | None = None,
    dtype: Any = None,
) -> Converted:
    """Convert running statistics, and parameters, from one configuration or convention to another.

    Parameters
    ----------
    state : State
        Running statistics of the source, of shape K. `num_batches` may be None where it is not known.
    source : BatchNorm or Convention
        What they were trained with. A convention stands for its own axis, momentum and epsilon.
    target : BatchNorm or Convention
        What they are wanted for. A convention stands for the source's configuration under that convention, its
        momentum turned to the convention's direction: axis and epsilon stay, unless a BatchNorm says otherwise. Where
        only one of the two averages cumulatively, the momentum is the convention's own.
    keep : {"output", "statistics"}
        What stays as it is. With ``"output"`` evaluation gives the same output: the averages are copied, and where the
        epsilons differ the variance makes up for it. With ``"statistics"`` the averages become what the target would
        have accumulated on the same batches.
    params : Params, optional
        Parameters of the source.
    count : float, optional
        How many elements per channel (or their weights' sum) each training batch had, in a ghost batch if those have
        estimates of their own. It is needed for another estimator of the variance.
    dtype : dtype, optional
        The dtype of the result. By default each array keeps its own, or is widened where the target has no state in
        half precision. A narrower one rounds.

    Returns
    -------
    Converted
        New arrays of the same library, on the same device; `num_batches` as it came. What needs no change is the same
        to the last bit.

    Raises
    ------
    TypeError
        If an argument is not as described.
    ValueError
        If `num_batches` or `count` is needed and missing; if the source does not determine the target; if the state can
        not be of the source; or if a value does not fit the dtype.

    Notes
    -----
    ``keep="output"`` fails only where a variance and the source's epsilon together are below the target's epsilon.

    ``keep="statistics"`` maps each average by ``(average - s i) r (1 - s') / (1 - s) + s' i'``, where i and i' are the
    initial values, s and s' their shares after all batches (m^n in an exponential average, else 0), and r is the ratio
    of the estimators: N / (N - 1) to Bessel's from the population's. It is exact, up to rounding, if the averages
    started from the source's initial values, if `num_batches` batches entered them, each with N elements per channel,
    and if both sides see the same elements in training: the same weights, and replicas of equal size. A small share
    of the batches, as of one batch at a momentum of 0.99, was stored to few digits, and stays so. Batches in which a
    channel was absent are not known from the state.

    More than one batch can not be weighted anew: the cumulative average, the one that starts from the first batch, and
    exponential averages of different momentum do not determine one another. The stddev of renormalization averages
    roots: it does not determine the average of another estimator, nor with another epsilon, nor the plain variance.

    With `keep="output"`, a target with renormalization whose source has none starts its own averages from the plain
    ones, which are the same in [1]_.

    Values are read: convert before a call is traced, not in it.

    References
    ----------
    .. [1] S. Ioffe, Batch Renormalization, arXiv:1702.03275, algorithm 1.

    Examples
    --------
    >>> import numpy as np
    >>> import bnspec
    >>> from bnspec.conventions import KERAS, TORCH
    >>> state = bnspec.State(np.asarray([0.2]), np.asarray([1.3]), np.asarray(1))
    >>> spec, _, state = bnspec.convert(state, TORCH, KERAS, keep="statistics", count=4)
    >>> spec.momentum, spec.epsilon
    (0.9, 1e-05)
    >>> state.moving_variance  # 0.9 + 0.1 * 4 became 0.9 + 0.1 * 3
    array([1.2])
    """
    source, target = _resolved(source, target)
    if keep not in ("output", "statistics"):
        raise ValueError(message("keep must be 'output' or 'statistics'", keep=keep))
    _require_count(count)
    state = take(State, state, "state")
    params = None if params is None else take(Params, params, "params")
    arrays = _required(state, params, source)
    xp = common_namespace(**arrays, num_batches=state.num_batches)
    wide = {name: xp.astype(array, accumulation_dtype(xp, array)) for name, array in arrays.items()}
    given = {name: wide[name] for name in averages(source)}
    if keep == "output":
        found = same_output(given, source, target, xp)
    else:
        dtypes = {name: dtype_name(arrays[name].dtype) for name in given}
        found = same_statistics(given, dtypes, source, target, number_of(state.num_batches), count, xp)
    shape = _laid(shape_of(state.moving_mean), source, target)

    def finished(value: Any, kept: Any) -> Any:
        return detached(xp.reshape(_fitted(value, kept, target, dtype, xp), shape))

    number = None if state.num_batches is None else xp.astype(state.num_batches, state.num_batches.dtype)
    after = {name: finished(value, arrays.get(name, state.moving_variance)) for name, value in found.items()}
    parts = None
    if params is not None:
        filled = _filled(params, target, state.moving_mean, xp)
        parts = Params(*(None if value is None else finished(value, value) for value in filled))
    return Converted(target, parts, State(num_batches=number, **after))


def configured(name: str, given: Any) -> BatchNorm:
    """Take a configuration, or a convention for its own defaults.

    Parameters
    ----------
    name : str
        The name of the argument, for the message.
    given : BatchNorm or Convention
        What came.

    Returns
    -------
    BatchNorm

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(given, Convention):
        return BatchNorm(convention=given)
    if not isinstance(given, BatchNorm):
        raise TypeError(
            message(f"{name} must be a bnspec.BatchNorm or a bnspec.conventions.Convention", **{name: given})
        )
    return given


def _resolved(source: Any, target: Any) -> tuple[BatchNorm, BatchNorm]:
    """Take both configurations; a convention as the target changes nothing else."""
    source = configured("source", source)
    if not isinstance(target, Convention):
        return source, configured("target", target)
    turned = target.momentum_weighs != source.convention.momentum_weighs
    momentum, renorm = source.momentum, source.renorm
    if momentum is None or target.momentum is None:
        momentum = target.momentum
    elif turned:
        momentum = opposite(momentum)
    if turned and renorm is not None:
        renorm = replace(renorm, momentum=opposite(renorm.momentum))
    return source, replace(source, convention=target, momentum=momentum, renorm=renorm)


def _require_count(count: Any) -> None:
    if count is None:
        return
    if isinstance(count, bool) or not isinstance(count, Real):
        raise TypeError(message("count must be a real number or None", count=count))
    if not 0 < float(count) < inf:
        raise ValueError(message("count must be finite and positive", count=count))


def _required(state: State, params: Params | None, source: BatchNorm) -> dict[str, Any]:
    """Name the arrays that came, and require them to be those of the source, of one shape K."""
    wanted = {name: name in averages(source) for name in State._fields if name != "num_batches"}
    arrays = state._asdict()
    if params is not None:
        wanted |= {"gamma": source.scale, "beta": source.center}
        arrays |= params._asdict()
    for name, present in wanted.items():
        if (arrays[name] is not None) != present:
            raise ValueError(
                message(
                    f"{name} must be {'an array' if present else 'None'} with the source's configuration",
                    center=source.center,
                    scale=source.scale,
                    renorm=source.renorm,
                    **{name: None if arrays[name] is None else shape_of(arrays[name])},
                )
            )
    given = {name: arrays[name] for name, present in wanted.items() if present}
    common_namespace(**given)
    require_real_floating(**given)
    for name, array in given.items():
        if shape_of(array) != shape_of(state.moving_mean):
            raise ValueError(
                message(
                    f"{name} must have the shape of moving_mean",
                    moving_mean=shape_of(state.moving_mean),
                    **{name: shape_of(array)},
                )
            )
    return given


def _laid(shape: tuple[int | None, ...], source: BatchNorm, target: BatchNorm) -> tuple[int | None, ...]:
    """Return the shape K of the target; feature axes correspond in ascending order."""
    if isinstance(source.axis, int) != isinstance(target.axis, int):
        raise ValueError(
            message(
                "source and target must both have one feature axis, or several", source=source.axis, target=target.axis
            )
        )
    if isinstance(source.axis, int):
        if len(shape) != 1:
            raise ValueError(message("moving_mean must have shape (C,) with one feature axis", moving_mean=shape))
        return shape
    given, wanted = (Layout.of(shape, spec.axis).features for spec in (source, target))
    others = [size for axis, size in enumerate(shape) if axis not in given]
    if len(given) != len(wanted) or any(size != 1 for size in others):
        raise ValueError(
            message(
                "moving_mean must have size 1 but on the source's feature axes, and the target as many of them",
                moving_mean=shape,
                source=source.axis,
                target=target.axis,
            )
        )
    sizes = dict(zip(wanted, (shape[axis] for axis in given), strict=True))
    return tuple(sizes.get(axis, 1) for axis in range(len(shape)))


def _fitted(value: Any, kept: Any, target: BatchNorm, dtype: Any, xp: Any) -> Any:
    """Round to the dtype of the result, and require that it holds the value."""
    if dtype is None:
        dtype = kept.dtype if target.convention.state_dtype == "input" else accumulation_dtype(xp, kept)
    rounded = xp.astype(value, dtype)
    name = dtype_name(rounded.dtype)
    if name not in ACCUMULATES_IN:
        raise TypeError(message(f"dtype must be real floating: {', '.join(ACCUMULATES_IN)}", dtype=name))
    if xp.any(xp.isfinite(value) & ~xp.isfinite(rounded)):
        raise ValueError(message("dtype must hold every value", "Take a wider one.", dtype=name))
    return rounded


def _filled(params: Params, target: BatchNorm, like: Any, xp: Any) -> Params:
    """Give the target the parameters that do nothing where the source has none, and refuse to lose one."""
    found = {}
    for name, wanted, neutral in (("gamma", target.scale, 1.0), ("beta", target.center, 0.0)):
        found[name] = getattr(params, name)
        if found[name] is not None and not wanted:
            raise ValueError(
                message(
                    f"target must have a {name}, because source has one",
                    "Set scale and center as the source has them.",
                    center=target.center,
                    scale=target.scale,
                )
            )
        if wanted and found[name] is None:
            found[name] = xp.full(shape_of(like), neutral, dtype=like.dtype, device=device_of(like))
    return Params(**found)
