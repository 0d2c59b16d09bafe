"""What the tests of the layer share: data off every fixed point, and the definition beside the layer."""

import numpy as np

import bnspec
from bnspec_conformance.definition import receive

X = np.random.default_rng(7).normal(2.0, 3.0, (6, 4, 3)).astype(np.float32)
SECOND = (np.random.default_rng(8).normal(-1.0, 2.0, (6, 4, 3))).astype(np.float32)
W = np.asarray([2.0, 0.0, 0.5, 1.0, 3.0, 0.25], np.float32)[:, None, None]


def split(layer):
    """Parameters and state as the definition takes them."""
    values = {variable.name: variable.value for variable in layer.variables}
    params = bnspec.Params(values.get("gamma"), values.get("beta"))
    return params, bnspec.State(*(values.get(name) for name in bnspec.State._fields))


def bits(backend, value):
    """The bytes of arrays, after a check that they are the backend's own."""
    found = receive(backend, value)
    return [None if part is None else part.tobytes() for part in (found if isinstance(found, tuple) else (found,))]


def assert_rounded(found, expected, roundings):
    """Fail where a float32 is further from a number than so many roundings take it."""
    wanted = np.asarray(expected, np.float64)
    unit = np.finfo(np.float32).eps / 2
    assert (np.abs(found - wanted) <= roundings * unit * np.abs(wanted)).all(), (found, expected)


def values(layer):
    return {variable.name: variable.numpy() for variable in layer.variables}


def assert_steps_as_the_definition(backend, layer, batches, **call):
    """Call the layer on batches, and fail at the first bit in which it differs from the definition."""
    layer.build(batches[0].shape, like=backend.asarray(batches[0]))
    params, state = split(layer)
    for training in (True, True, False):
        for batch in batches:
            x = backend.asarray(batch)
            expected, state = layer.spec.apply(params, state, x, training=training, **call)
            seen = layer(x, training=training, **{name: value for name, value in call.items() if name == "weights"})
            assert bits(backend, seen) == bits(backend, expected)
            assert bits(backend, tuple(split(layer)[1])) == bits(backend, tuple(state))
