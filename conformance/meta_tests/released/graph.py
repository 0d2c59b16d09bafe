"""A layer of TensorFlow 1, which lives in a graph and a session."""

import numpy as np

from .layer import Layer, module

tf = module("tensorflow")
v1 = tf.compat.v1


class GraphLayer(Layer):
    """One graph with the layer in training, in evaluation, and its state."""

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype, **options):
        self.arguments = (shape, momentum, epsilon, dtype)
        self._build(options)
        self._load("gamma", gamma)
        self._load("beta", beta)

    def _build(self, options):
        shape, momentum, epsilon, dtype = self.arguments
        graph = tf.Graph()
        with graph.as_default():
            self.x = v1.placeholder(dtype, (*[None] * (len(shape) - 1), shape[-1]))
            self.call = self.made(momentum, epsilon, **options)
            self.step = self._step(self.call(self.x, True))
            self.evaluated = self.call(self.x, False)
            self.variables = {v.op.name.rpartition("/")[2]: v for v in v1.global_variables()}
            self.trained = len(v1.trainable_variables())
            self.session = v1.Session(graph=graph)
            self.session.run(v1.global_variables_initializer())

    @staticmethod
    def _step(y, before=()):
        """Return an output with the updates that it has collected."""
        return y, [update for update in v1.get_collection(v1.GraphKeys.UPDATE_OPS) if update not in before]

    @classmethod
    def made(cls, momentum, epsilon, **options):
        """Return a function of an input, whether it is training, and weights; it collects its updates."""
        raise NotImplementedError

    def _load(self, name, value):
        variable = self.variables[name]
        with self.session.graph.as_default():
            variable.load(np.reshape(value, variable.shape), self.session)

    def train(self, x, weights=None):
        if weights is None:
            return self.session.run(self.step, {self.x: x})[0]
        with self.session.graph.as_default():
            step = self._step(self.call(self.x, True, tf.constant(weights, self.x.dtype)), self.step[1])
        return self.session.run(step, {self.x: x})[0]

    def evaluate(self, x):
        return self.session.run(self.evaluated, {self.x: x})

    def state(self):
        return self.session.run([self.variables["moving_mean"], self.variables["moving_variance"]])

    def freeze(self):
        """Build it again as not trainable, with what it has learnt."""
        learnt = {name: self.session.run(variable) for name, variable in self.variables.items()}
        self._build({"trainable": False})
        for name, value in learnt.items():
            self._load(name, value)

    def trainable(self):
        return self.trained

    @classmethod
    def half(cls, x):
        with tf.Graph().as_default():
            y = cls.made(0.9, 1e-3)(tf.constant(x), True)
            (state,) = (v for v in v1.global_variables() if "moving_variance" in v.op.name)
            return y.dtype.name, state.dtype.base_dtype.name
