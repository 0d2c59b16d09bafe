"""Bijector: two directions, each with its log-det, and all that follows from them."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, ClassVar

from bnspec.arrays import common_namespace, device_of, shape_of
from bnspec.bijectors._derived import derived_log_det
from bnspec.bijectors._reduction import reduced
from bnspec.bijectors._shapes import OTHER, Shapes, as_ndims
from bnspec.errors import message
from bnspec.variables import has_values, require_name, scope, transaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Bijector"]


class Bijector(Shapes):
    """A differentiable map with an inverse and the logarithms of the determinants of the Jacobians of both.

    Parameters
    ----------
    forward_min_event_ndims : int, optional
        The rank of the smallest event that is mapped: 0 where each number is mapped by itself.
    inverse_min_event_ndims : int, optional
        The rank of what it is mapped to. Each of the two is by default the other.
    is_constant_jacobian : bool
        Whether the Jacobian does not depend on the input. It is not verified.
    validate_args : bool
        Whether values are checked where they are known: eagerly, and not inside a compiler.
    dtype : dtype, optional
        What inputs must have; by default that of the parameters that are arrays.
    parameters : mapping, optional
        The arguments of the constructor by name, for :meth:`copy`, for equality and for the search of variables.
    graph_parents : iterable of array
        Accepted for TFP's sake.
    name : str, optional
        By default, the name of the class in lower case.

    Raises
    ------
    TypeError
        If an argument is not as described, or parameters are of several libraries or dtypes.
    ValueError
        If a rank is negative, or none is given.

    Notes
    -----
    A subclass writes ``_forward_and_log_det(x, **condition)`` or ``_inverse_and_log_det(y, **condition)`` or both. Each
    returns a pair: the mapped array, and log |det J| of the minimal event, broadcastable to the shape of the batch;
    or a function without arguments that computes that; or None, where it is to be derived from the other direction
    or, for a scalar map, by the backend's automatic differentiation. Arrays come in float32 or float64,
    and so do conditions that are real floating arrays.

    A subclass whose ``is_affine`` is True may write ``_linear_part(direction, x, condition)``, and one of numbers
    ``_is_increasing(like, condition)``: transformed distributions take their deviations and probabilities from them.

    There is no cache: a result never depends on which object was passed. A log-det has the full shape of the batch.
    Only ``inverse`` and :meth:`inverse_and_log_det` may change variables, ``forward`` of an inverted bijector too; the
    methods that return log-dets alone never do.

    References
    ----------
    .. [1] J. V. Dillon et al., TensorFlow Distributions, arXiv:1711.10604.
    """

    _hooked_names: ClassVar[frozenset[str] | None] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._hooked_names = _hooked_names(cls)  # once a class: no compiler traces the search

    def __init__(
        self,
        *,
        forward_min_event_ndims: Any = None,
        inverse_min_event_ndims: Any = None,
        is_constant_jacobian: bool = False,
        validate_args: bool = False,
        dtype: Any = None,
        parameters: Mapping[str, Any] | None = None,
        graph_parents: Iterable[Any] = (),
        name: str | None = None,
    ) -> None:
        if not (self._has("forward") or self._has("inverse")):
            raise TypeError(
                message(
                    "a bijector must have _forward_and_log_det or _inverse_and_log_det",
                    "Write one of them in a subclass.",
                    type=type(self).__name__,
                )
            )
        if forward_min_event_ndims is None and inverse_min_event_ndims is None:
            raise ValueError(message("forward_min_event_ndims or inverse_min_event_ndims must be given"))
        ranks = {"forward_min_event_ndims": forward_min_event_ndims, "inverse_min_event_ndims": inverse_min_event_ndims}
        known = [self._as_min_ndims(key, rank) for key, rank in ranks.items() if rank is not None]
        super().__init__(
            parameters=parameters,
            forward_min_event_ndims=known[0],
            inverse_min_event_ndims=known[-1],
            is_constant_jacobian=is_constant_jacobian,
            validate_args=validate_args,
            dtype=dtype,
            graph_parents=graph_parents,
            name=name,
        )
        self._condition_names = self._own_condition_names()

    def forward(self, x: Any, name: str = "forward", **kwargs: Any) -> Any:
        """Map an input.

        Parameters
        ----------
        x : array, shape (*batch, *event), real floating, or numbers
            The input. Numbers and lists become arrays of the library, dtype and device of the parameters, else of
            the default backend.
        name : str
            Accepted for TFP's sake.
        **kwargs
            Conditions.

        Returns
        -------
        array, shape (*batch, *event'), of x's dtype

        Raises
        ------
        TypeError
            If `x` is no array, or of another library or dtype than the parameters; if a condition is unknown.
        ValueError
            If a shape does not fit.
        NotImplementedError
            If the bijector has no such direction.
        """
        return self._called("forward", x, name, kwargs)

    def inverse(self, y: Any, name: str = "inverse", **kwargs: Any) -> Any:
        """Map an output back; see :meth:`forward`.

        Returns
        -------
        array, or tuple of array
            A tuple where several inputs have that output: all of them.
        """
        return self._called("inverse", y, name, kwargs)

    def forward_and_log_det(
        self, x: Any, event_ndims: Any = None, name: str = "forward_and_log_det", **kwargs: Any
    ) -> tuple[Any, Any]:
        """Map an input, and return the log-det with it; see :meth:`forward` and :meth:`forward_log_det_jacobian`."""
        return self._called_with_log_det("forward", x, event_ndims, name, kwargs)

    def inverse_and_log_det(
        self, y: Any, event_ndims: Any = None, name: str = "inverse_and_log_det", **kwargs: Any
    ) -> tuple[Any, Any]:
        """Map an output back, and return the log-det with it; see :meth:`inverse`, :meth:`inverse_log_det_jacobian`."""
        return self._called_with_log_det("inverse", y, event_ndims, name, kwargs)

    def forward_log_det_jacobian(
        self, x: Any, event_ndims: Any = None, name: str = "forward_log_det_jacobian", **kwargs: Any
    ) -> Any:
        """Return log |det J| of ``forward`` at an input. No variable changes.

        Parameters
        ----------
        x : array, shape (*batch, *event), real floating, or numbers
            The input.
        event_ndims : int, optional
            The rank of an event, over which the result is summed; by default :attr:`forward_min_event_ndims`.
        name : str
            Accepted for TFP's sake.
        **kwargs
            Conditions.

        Returns
        -------
        array, shape batch, of x's dtype
            The batch of the output, where parameters have more axes than the input.

        Raises
        ------
        TypeError
            As :meth:`forward`; if `event_ndims` is no integer.
        ValueError
            If it is below the minimum, or above the rank of `x`; if a parameter is larger than the event.
        NotImplementedError
            If neither direction gives the log-det, or several inputs have one output.
        """
        with scope():
            return self._called_with_log_det("forward", x, event_ndims, name, kwargs)[1]

    def inverse_log_det_jacobian(
        self, y: Any, event_ndims: Any = None, name: str = "inverse_log_det_jacobian", **kwargs: Any
    ) -> Any:
        """Return log |det J| of ``inverse`` at an output; see :meth:`forward_log_det_jacobian`.

        Returns
        -------
        array, or tuple of array
            A tuple where several inputs have that output: one for each of them.
        """
        with scope():
            return self._called_with_log_det("inverse", y, event_ndims, name, kwargs)[1]

    @property
    def condition_names(self) -> frozenset[str] | None:
        """The names of the conditions that the methods take; None where they take any."""
        return self._condition_names

    def _own_condition_names(self) -> frozenset[str] | None:
        """Find what a call takes besides the array: what the hooks take, unless functions were given instead."""
        return self._hooked_names

    def _forward_and_log_det(self, *args: Any, **condition: Any) -> tuple[Any, Any]:
        """Map an input, ``x``, under the conditions that a subclass names; to be written by it."""
        raise NotImplementedError(message(f"{self.name} must have a forward direction", "Write _forward_and_log_det."))

    def _inverse_and_log_det(self, *args: Any, **condition: Any) -> tuple[Any, Any]:
        """Map an output, ``y``, back; to be written by a subclass."""
        raise NotImplementedError(message(f"{self.name} must have an inverse direction", "Write _inverse_and_log_det."))

    def _validate(self, direction: str, x: Any) -> None:
        """Raise ValueError for values that the map has no meaning for; called where they are to be checked."""

    def _is_increasing(self, like: Any, condition: dict[str, Any]) -> Any:
        """Tell where a map of numbers rises, for each of its parameters.

        Parameters
        ----------
        like : array, float32 or float64
            Gives library, dtype and device.
        condition : dict
            Conditions, all of them known.

        Returns
        -------
        bool, array of bool, or None
            True where it rises and False where it falls: an array where parameters differ, or their values are not
            known before the call runs. None where it may do both; by default, of all that is not affine.
        """
        if not self.is_affine or self.forward_min_event_ndims != 0:
            return None
        one = common_namespace(like=like).ones((), dtype=like.dtype, device=device_of(like))
        return self._linear_part("forward", one, condition) > 0.0

    def _linear_part(self, direction: str, x: Any, condition: dict[str, Any]) -> Any:
        """Map by an affine map without its shift, by which deviations are not moved.

        Parameters
        ----------
        direction : {"forward", "inverse"}
            Which way.
        x : array, float32 or float64
            What is mapped.
        condition : dict
            Conditions, all of them known.

        Returns
        -------
        array
            By default what the map returns, minus what it returns for 0: a shift costs digits.
        """
        y, _ = self.mapped(direction, x, condition)
        return y - self.mapped(direction, common_namespace(x=x).zeros_like(x), condition)[0]

    def _has(self, direction: str) -> bool:
        hook = f"_{direction}_and_log_det"
        return getattr(type(self), hook) is not getattr(Bijector, hook)

    def _needs(self) -> list[tuple[Any, Any]]:
        """List for each array of an input what gives numbers their library, and the dtype that it must have."""
        return [(self._like(), self.dtype)]

    def _as_min_ndims(self, name: str, ndims: Any) -> Any:
        return as_ndims(name, ndims, 0)

    def _called(self, direction: str, given: Any, name: Any, kwargs: dict[str, Any]) -> Any:
        require_name(name)
        x, back = self._inputs("x" if direction == "forward" else "y", given)
        condition = self._conditions(kwargs)
        with transaction():
            return back(self.mapped(direction, x, condition)[0])

    def _called_with_log_det(
        self, direction: str, given: Any, event_ndims: Any, name: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, Any]:
        require_name(name)
        x, back = self._inputs("x" if direction == "forward" else "y", given)
        condition = self._conditions(kwargs)
        with transaction():
            y, log_det = self.mapped_with_log_det(direction, x, event_ndims, condition)
            return back(y), back(log_det())

    def mapped(self, direction: str, x: Any, condition: dict[str, Any], *, validate: bool = False) -> tuple[Any, Any]:
        """Map what is an array of the dtype of the computation already; for bijectors that are made of others.

        Parameters
        ----------
        direction : {"forward", "inverse"}
            Which way.
        x : array, float32 or float64
            What is mapped.
        condition : dict
            Conditions, all of them known.
        validate : bool
            Whether values are checked even if this bijector was not told so.

        Returns
        -------
        pair
            As of ``_forward_and_log_det``.

        Raises
        ------
        ValueError
            If the rank of `x` is too small, or a value is refused.
        """
        self._require_rank(x, getattr(self, f"{direction}_min_event_ndims"))
        if (validate or self.validate_args) and has_values(x):
            self._validate(direction, x)
        pair: tuple[Any, Any] = getattr(self, f"_{direction}_and_log_det")(x, **condition)
        return pair

    def mapped_with_log_det(
        self, direction: str, x: Any, event_ndims: Any, condition: dict[str, Any], *, validate: bool = False
    ) -> tuple[Any, Callable[[], Any]]:
        """Map as :meth:`mapped` does, with a function that sums the log-det over an event.

        Parameters
        ----------
        direction, x, condition, validate
            As of :meth:`mapped`.
        event_ndims : int or None
            The rank of an event of x; None for the minimal one.

        Returns
        -------
        y : array
        log_det : callable without arguments
            Returns the log-det, of the shape of the batch.
        """
        self._require_log_det(direction)
        before, after = (getattr(self, f"{each}_min_event_ndims") for each in (direction, OTHER[direction]))
        ndims = before if event_ndims is None else as_ndims("event_ndims", event_ndims, before)
        self._require_rank(x, ndims)
        y, log_det = self.mapped(direction, x, condition, validate=validate)

        def total() -> Any:
            found = log_det() if callable(log_det) else log_det
            if not self.is_injective:
                pairs = zip(y, found, strict=True)
                return tuple(reduced(self.name, part, x, one, ndims, before, after) for one, part in pairs)
            if found is None:
                found = derived_log_det(self, direction, x, y, condition)
            return reduced(self.name, found, x, y, ndims, before, after)

        return y, total

    def _require_log_det(self, direction: str) -> None:
        if direction == "forward" and not self.is_injective:
            raise NotImplementedError(
                message(f"{self.name} must be injective to have a forward log-det", "Take that of the inverse.")
            )

    def _require_rank(self, x: Any, ndims: int) -> None:
        if len(shape_of(x)) < ndims:
            raise ValueError(
                message(
                    f"the input of {self.name} must have the rank of an event", shape=shape_of(x), event_ndims=ndims
                )
            )


def _hooked_names(kind: type[Bijector]) -> frozenset[str] | None:
    """Find what ``_forward_and_log_det`` and ``_inverse_and_log_det`` of a class take besides the array."""
    names: set[str] = set()
    for hook in ("_forward_and_log_det", "_inverse_and_log_det"):
        written = getattr(kind, hook)
        if written is not getattr(Bijector, hook):
            more = list(signature(written).parameters.values())[2:]
            if any(one.kind is Parameter.VAR_KEYWORD for one in more):
                return None
            names.update(one.name for one in more)
    return frozenset(names)
