"""What the peers on JAX have in common: which dtypes there are, and derivatives of a pure function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    Array = np.ndarray[Any, Any]

__all__ = ["pulled_back", "second", "without_float64"]


def without_float64() -> dict[str, str]:
    """Return the gap of float64, where JAX has it switched off."""
    import jax  # noqa: PLC0415 - when it is needed

    return {} if jax.dtypes.canonicalize_dtype("float64") == "float64" else {"float64": "JAX_ENABLE_X64 is not set"}


def pulled_back(forward: Callable[..., Any], x: Array, cotangent: Array, parameters: dict[str, Any]) -> dict[str, Any]:
    """Pull a cotangent back through ``forward(x, parameters)``, to x and to the parameters that there are."""
    import jax  # noqa: PLC0415 - when it is needed
    import jax.numpy as jnp  # noqa: PLC0415

    y, pullback = jax.vjp(forward, jnp.asarray(x), parameters)
    by_x, by_parameters = pullback(jnp.asarray(cotangent).astype(y.dtype))
    return {"x": np.asarray(by_x), **{name: np.asarray(value) for name, value in by_parameters.items()}}


def second(forward: Callable[[Any], Any], x: Array, cotangent: Array, tangent: Array) -> Array:
    """Differentiate the gradient of x along a tangent."""
    import jax  # noqa: PLC0415 - when it is needed
    import jax.numpy as jnp  # noqa: PLC0415

    def gradient(x: Any) -> Any:
        return jax.vjp(forward, x)[1](jnp.asarray(cotangent))[0]

    return np.asarray(jax.jvp(gradient, (jnp.asarray(x),), (jnp.asarray(tangent),))[1])
