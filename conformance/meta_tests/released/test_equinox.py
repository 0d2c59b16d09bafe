"""equinox.nn.BatchNorm."""

import inspect

from bnspec.conventions import EQUINOX, EQUINOX_BATCH
from bnspec_conformance.bounds import rounded

from .check import released
from .layer import POISONED, Departure, Layer, module, refused, version
from .predictor import Predictor, Quantity
from .scenarios import BATCHES, BETA, EPSILON, GAMMA, IMAGES, SHARE

jax = module("jax")
jnp = module("jax.numpy")
eqx = module("equinox")


def inflated(evaluated):
    """Predict the variance after two steps with the initial 1 left in it: m^2 / (1 - m^2) too much."""

    def instead(predicted):
        weight = (1.0 - SHARE) ** 2
        layer = Predictor(EQUINOX_BATCH, "float32", GAMMA, BETA, 1.0 - SHARE, EPSILON)
        variance = predicted["variance"].value + weight / (1.0 - weight)
        layer.mean = predicted["mean"]
        layer.variance = Quantity(variance, rounded(predicted["variance"].error, variance, layer.form))
        changed = predicted | {"variance": layer.variance}
        return changed if evaluated is None else changed | {"evaluation": layer.evaluate(evaluated)}

    return Departure("after n batches, evaluation has m^n / (1 - m^n) too much variance", instead)


class Equinox(Layer):
    convention = EQUINOX
    library = version("equinox")
    dtype = "float32"
    chosen = frozenset({"axis"})
    mode = "ema"
    departures = {  # noqa: RUF012 - never changed
        "empty batch": POISONED,
        "half precision": Departure("half precision is refused", refused("TypeError")),
    }

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype):
        options = {"momentum": momentum, "eps": epsilon, "mode": self.mode}
        layer, self.kept = eqx.nn.make_with_state(eqx.nn.BatchNorm)(shape[1], axis_name="batch", **options)
        self.layer = eqx.tree_at(lambda tree: (tree.weight, tree.bias), layer, (jnp.asarray(gamma), jnp.asarray(beta)))

    def _call(self, x, *, inference):
        def one(example, kept):
            return self.layer(example, kept, inference=inference)

        return jax.vmap(one, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(x, self.kept)

    def train(self, x):
        y, self.kept = self._call(jnp.asarray(x), inference=False)
        return y

    def evaluate(self, x):
        return self._call(jnp.asarray(x), inference=True)[0]

    def state(self):
        return self.kept.get(self.layer.ema_state_index)

    @staticmethod
    def defaults():
        arguments = inspect.signature(eqx.nn.BatchNorm).parameters
        return {"momentum": arguments["momentum"].default, "epsilon": arguments["eps"].default}

    @classmethod
    def half(cls, x):
        layer = cls(x.shape, jnp.ones(3), jnp.zeros(3), 0.9, 1e-5, "float32")
        return layer.train(x).dtype, layer.state()[1].dtype


class EquinoxBatch(Equinox):
    convention = EQUINOX_BATCH
    mode = "batch"
    departures = {  # noqa: RUF012 - never changed
        "training": inflated(BATCHES[2]),
        "images": inflated(IMAGES[2]),
        "one element": inflated(None),
        "empty batch": POISONED,
    }

    def state(self):
        """Return what evaluation divides out of the state."""
        mean, variance = self.kept.get(self.layer.batch_state_index)
        number = self.kept.get(self.layer.batch_counter)
        weight = 1 - self.layer.momentum**number
        return mean / weight, variance / weight


test_released = released(Equinox, EquinoxBatch)
