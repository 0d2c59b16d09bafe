"""The definition, with the interface of the originals."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import bnspec
from bnspec_conformance.definition import receive, send

if TYPE_CHECKING:
    from .draw import Draw

    Array = np.ndarray[Any, Any]

__all__ = ["Ours"]


class Ours:
    """``bnspec.BatchNorm`` on a backend, as a draw describes it.

    Parameters
    ----------
    draw : Draw
        The configuration.
    backend : Backend
        As ``bnspec.backend`` returns it.
    """

    def __init__(self, draw: Draw, backend: Any) -> None:
        self.draw, self.backend = draw, backend
        convention = draw.convention
        self.spec = bnspec.BatchNorm(
            axis=draw.axis,
            momentum=draw.momentum(convention),
            epsilon=draw.epsilon,
            center=draw.center,
            scale=draw.scale,
            convention=convention,
            renorm=draw.renorm_of(convention),
            virtual_batch_size=draw.ghosts,
        )
        more = draw.renorm_state if draw.renorm else ()
        with backend.context():
            self.params = bnspec.Params(*send(backend, (draw.gamma, draw.beta)))
            count = np.asarray(0, dtype=np.int32)
            self.state = bnspec.State(*send(backend, (draw.moving_mean, draw.moving_variance, count, *more)))

    def _run(self, function: Any, *arrays: Any) -> Any:
        """Call a function with parameters, state and arrays; JAX would compile each of its operations by itself."""
        compiled = self.backend.compile(function) if self.backend.name.startswith("jax") else function
        return compiled(self.params, self.state, *arrays)

    def train(self, x: Array, weights: Array | None = None, adjustment: Any = None) -> Array:
        """Return the output in training, and keep the new state."""
        with self.backend.context():
            options = self._options(weights, adjustment)
            apply = partial(self.spec.apply, **options)
            y, state = self._run(apply, send(self.backend, x))
            self.state = bnspec.State(*state)
            out: Array = receive(self.backend, y)
            return out

    def evaluate(self, x: Array) -> Array:
        """Return the output in evaluation."""
        with self.backend.context():
            y, _ = self._run(partial(self.spec.apply, training=False), send(self.backend, x))
            out: Array = receive(self.backend, y)
            return out

    def read(self) -> dict[str, Array]:
        """Return the averages by name."""
        with self.backend.context():
            found = {k: receive(self.backend, v) for k, v in self.state._asdict().items() if v is not None}
        del found["num_batches"]
        return found

    def gradients(
        self, x: Array, cotangent: Array, training: bool, weights: Array | None = None, adjustment: Any = None
    ) -> dict[str, Array]:
        """Return the gradients of x, gamma and beta."""
        with self.backend.context():
            options = self._options(weights, adjustment) if training else {"training": False}

            def backward(params: Any, state: Any, x: Any, cotangent: Any) -> Any:
                return self.spec.vjp(params, state, x, **options)[2](cotangent)

            found = self._run(backward, *(send(self.backend, part) for part in (x, cotangent)))._asdict()
            return {k: receive(self.backend, found[k]) for k in ("x", "gamma", "beta") if found.get(k) is not None}

    def _options(self, weights: Array | None, adjustment: Any) -> dict[str, Any]:
        """Name the options of a call; a frozen layer is never trained."""
        if self.draw.frozen:
            return {"training": False}
        options: dict[str, Any] = {"training": True}
        if weights is not None:
            options["weights"] = send(self.backend, weights)
        if adjustment is not None:
            options["adjustment"] = tuple(send(self.backend, part) for part in adjustment)
        return options
