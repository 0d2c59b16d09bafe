"""Updates: at once or deferred, each batch once, on the averages that are there when they run."""

import numpy as np
import pytest

from bnspec.layers import BatchNormalization, Update

from .layer_helpers import SECOND, W, X, bits, split, values


def deferred(**arguments):
    return BatchNormalization(momentum=0.7, defer_updates=True, **arguments)


def test_at_once_is_the_default_and_leaves_no_updates():
    layer = BatchNormalization()
    layer(X, training=True)
    assert layer.updates == []
    assert values(layer)["num_batches"] == 1


@pytest.mark.parametrize("arguments", [{}, {"renorm": True}, {"virtual_batch_size": 2}], ids=str)
def test_a_deferred_call_is_the_same_in_two_steps(backend, arguments):
    layer = deferred(**arguments)
    other = BatchNormalization(momentum=0.7, **arguments)
    x, second = backend.asarray(X), backend.asarray(SECOND)
    for batch in (x, second):
        start = bits(backend, tuple(split(layer)[1])) if layer.built else None
        seen = layer(batch, training=True)
        assert bits(backend, seen) == bits(backend, other(batch, training=True))
        if start is not None:
            assert bits(backend, tuple(split(layer)[1])) == start
        (update,) = layer.updates
        update()
        assert bits(backend, tuple(split(layer)[1])) == bits(backend, tuple(split(other)[1]))
        assert layer.updates == []


def test_updates_run_on_the_averages_that_are_there(backend):
    layer, other = deferred(), BatchNormalization(momentum=0.7)
    x, second, weights = backend.asarray(X), backend.asarray(SECOND), backend.asarray(W)
    layer(x, training=True)
    layer(second, training=True, weights=weights)
    first, last = layer.updates
    last()
    first()
    other(second, training=True, weights=weights)
    other(x, training=True)
    assert bits(backend, tuple(split(layer)[1])) == bits(backend, tuple(split(other)[1]))


def test_an_update_runs_once():
    layer, other = deferred(), BatchNormalization(momentum=0.7)
    layer(X, training=True)
    (update,) = layer.updates
    assert update.pending
    for _ in range(3):
        update()
    other(X, training=True)
    assert not update.pending
    assert update.inputs == ()
    assert values(layer)["num_batches"] == 1
    assert values(layer)["moving_mean"].tobytes() == values(other)["moving_mean"].tobytes()


def test_an_update_keeps_the_adjustment_and_the_switch_of_its_call():
    wide = np.asarray([1.0, 2.0, 3.0])  # float64, in which the statistics are then computed
    arguments = {"adjustment": lambda shape: (wide, wide), "momentum": 0.7}
    layer, other = BatchNormalization(defer_updates=True, **arguments), BatchNormalization(**arguments)
    for batch, training in ((X, np.asarray(True)), (SECOND, np.asarray(True)), (X, np.asarray(False))):
        layer(batch, training=training)
        other(batch, training=training)
    assert len(layer.updates) == 3
    for update in layer.updates:
        update()
    for name, value in values(layer).items():
        assert value.tobytes() == values(other)[name].tobytes()


def test_evaluation_has_no_update():
    layer = deferred()
    layer(X)
    assert layer.updates == []
    frozen = deferred(convention="tf-keras", trainable=False)
    frozen(X, training=True)
    assert frozen.updates == []


def test_updates_for_inputs_goes_by_identity():
    layer = deferred()
    weights, same = W.copy(), X.copy()
    layer(X, training=True, name="first")
    layer(SECOND, training=True, weights=weights)
    mask = np.ones((6, 4), bool)
    layer(same, training=True, mask=mask)
    first, second, third = layer.updates
    assert (first.name, second.name) == ("first", None)
    assert repr(first) == "Update(name='first', pending=True, inputs=1)"
    assert layer.get_updates_for(X) == [first]
    assert layer.get_updates_for([X, SECOND]) == [first, second]
    assert layer.get_updates_for(weights) == [second]
    assert layer.get_updates_for((mask,)) == layer.get_updates_for(same) == [third]
    assert layer.get_updates_for(X.copy()) == layer.get_updates_for(None) == []
    first()
    assert layer.get_updates_for(X) == []
    assert layer.updates == [second, third]


def test_the_documents_loop():
    """``update_ops = layer.get_updates_for(None) + layer.get_updates_for(features)``, and then all of them."""
    layer, other, steps = deferred(), BatchNormalization(momentum=0.7), []
    layer.add_update(lambda: steps.append(1))
    for features in (X, SECOND, X):
        layer(features, training=True)
        for update in layer.get_updates_for(None) + layer.get_updates_for(features):
            update()
        other(features, training=True)
    assert steps == [1, 1, 1]
    assert [value.tobytes() for value in layer.get_weights()] == [value.tobytes() for value in other.get_weights()]


def test_updates_that_were_added():
    layer, done = BatchNormalization(), []
    layer.add_update([lambda: done.append("a"), lambda: done.append("b")])
    layer.add_update(lambda: done.append("c"), inputs=[X])
    ready = Update(lambda: done.append("d"), (SECOND,), "ready")
    layer.add_update(ready)
    assert len(layer.updates) == 4
    assert layer.get_updates_for(SECOND) == [ready]
    for _ in range(2):
        for update in layer.updates:
            update()
    assert done == ["a", "b", "c", "d", "a", "b"]
    layer.clear_updates()
    assert layer.updates == []
    with pytest.raises(TypeError, match=r"an update must be callable without arguments\. Got update=3\."):
        layer.add_update([lambda: None, 3])
    assert layer.updates == []


def test_an_update_that_raises_has_not_been_done():
    failing = [True]

    def action():
        if failing.pop():
            raise RuntimeError("not now")
        failing.append("done")

    update = Update(action, (X,))
    with pytest.raises(RuntimeError, match="not now"):
        update()
    assert update.pending
    failing.append(False)
    update()
    assert not update.pending
    assert failing == ["done"]


def test_a_layer_forgets_batches_with_its_updates():
    layer = deferred()
    layer(X, training=True)
    layer.clear_updates()
    assert layer.updates == []
    assert values(layer)["num_batches"] == 0
