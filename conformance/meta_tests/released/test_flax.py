"""flax.linen.BatchNorm and flax.nnx.BatchNorm."""

import numpy as np

from bnspec.conventions import FLAX, FLAX_NNX

from .check import released
from .layer import POISONED, Layer, module, version

jax = module("jax")
linen = module("flax.linen")
nnx = module("flax.nnx")


class Linen(Layer):
    convention = FLAX
    library = version("flax")
    dtype = "float32"
    has_replicas = True
    departures = {"empty batch": POISONED}  # noqa: RUF012 - never changed

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype, *, replicas=False):
        name = "replicas" if replicas else None
        self.layer = linen.BatchNorm(momentum=momentum, epsilon=epsilon, axis_name=name)
        self.variables = self.layer.init(jax.random.key(0), np.zeros(shape, dtype), use_running_average=True)
        self.variables = self.variables | {"params": {"scale": gamma, "bias": beta}}

    def train(self, x, weights=None):
        mask = None if weights is None else np.broadcast_to(weights[..., None], x.shape)
        y, self.variables = self._step(self.variables, x, mask)
        return y

    def _step(self, variables, x, mask):
        y, after = self.layer.apply(variables, x, use_running_average=False, mask=mask, mutable=["batch_stats"])
        return y, variables | after

    def train_replicas(self, shards, weights):
        masks = np.broadcast_to(np.stack(weights)[..., None], np.stack(shards).shape)
        mapped = jax.vmap(self._step, in_axes=(None, 0, 0), axis_name="replicas")
        y, after = mapped(self.variables, np.stack(shards), masks)
        self.variables = jax.tree.map(lambda leaf: leaf[0], after)
        return list(y)

    def evaluate(self, x):
        return self.layer.apply(self.variables, x, use_running_average=True)

    def state(self):
        return self.variables["batch_stats"]["mean"], self.variables["batch_stats"]["var"]

    @staticmethod
    def defaults():
        layer = linen.BatchNorm()
        return {"axis": layer.axis, "momentum": layer.momentum, "epsilon": layer.epsilon}

    @staticmethod
    def half(x):
        layer = linen.BatchNorm(use_running_average=False)
        y, variables = layer.init_with_output(jax.random.key(0), x)
        return y.dtype, variables["batch_stats"]["var"].dtype


class Nnx(Layer):
    convention = FLAX_NNX
    library = version("flax")
    dtype = "float32"
    has_replicas = True
    departures = {"empty batch": POISONED}  # noqa: RUF012 - never changed

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype, *, replicas=False):
        options = {"momentum": momentum, "epsilon": epsilon, "axis_name": "replicas" if replicas else None}
        self.layer = nnx.BatchNorm(shape[-1], **options, rngs=nnx.Rngs(0))
        self.layer.scale[...], self.layer.bias[...] = gamma, beta

    def train(self, x, weights=None):
        mask = None if weights is None else np.broadcast_to(weights[..., None] != 0, x.shape)
        return self.layer(x, use_running_average=False, mask=mask)

    def train_replicas(self, shards, weights):
        masks = np.broadcast_to(np.stack(weights)[..., None], np.stack(shards).shape)
        graph, state = nnx.split(self.layer)

        def step(state, x, mask):
            layer = nnx.merge(graph, state)
            y = layer(x, use_running_average=False, mask=mask)
            return y, layer.mean[...], layer.var[...]

        y, mean, variance = jax.vmap(step, in_axes=(None, 0, 0), axis_name="replicas")(state, np.stack(shards), masks)
        self.layer.mean[...], self.layer.var[...] = mean[0], variance[0]
        return list(y)

    def evaluate(self, x):
        return self.layer(x, use_running_average=True)

    def state(self):
        return self.layer.mean[...], self.layer.var[...]

    @staticmethod
    def defaults():
        layer = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
        return {"axis": layer.axis, "momentum": layer.momentum, "epsilon": layer.epsilon}

    @staticmethod
    def half(x):
        layer = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
        return layer(x, use_running_average=False).dtype, layer.var[...].dtype


test_released = released(Linen, Nnx)
