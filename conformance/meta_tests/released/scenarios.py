"""What a released layer goes through, and what its convention predicts of it."""

import warnings

import numpy as np

from .predictor import Predictor, Quantity

# Exact in float32, with means that are small beside the deviations: the release's algorithm is not what is tried.
BATCHES = (
    np.asarray([[1.0, -3.0, 0.25], [-2.0, 1.5, 1.0], [0.5, 2.0, -0.75], [2.5, -1.0, 0.5]]),
    np.asarray([[0.5, 2.0, 1.25], [3.0, -1.5, -1.0], [-1.0, 0.25, 2.0], [1.5, 1.0, -2.0], [-2.5, -2.0, 0.5]]),
    np.asarray([[1.0, 0.5, -0.5], [-1.5, 2.5, 1.5], [2.0, -1.0, 0.75]]),
)
IMAGES = tuple(
    batch.reshape(*shape, 3) for batch, shape in zip(BATCHES, ((2, 2, 1), (1, 5, 1), (3, 1, 1)), strict=True)
)
SIX = np.concatenate([BATCHES[2], 2.0 * BATCHES[2][::-1] + 0.5])
GAMMA, BETA = np.asarray([1.5, 0.5, 2.0]), np.asarray([0.25, -1.0, 0.5])
EPSILON = 0.125
# 1/4 of the new batch, whichever of the two momentum weighs.
SHARE = 0.25
WEIGHTS = np.asarray([1.0, 2.0, 0.0, 0.5])


class Run:
    """A layer and the prediction side by side, in one layout."""

    def __init__(self, layer, shape, dtype=None, **options):
        self.axis = layer.convention.axis
        weighs = layer.convention.momentum_weighs
        momentum = None if layer.convention.momentum is None else SHARE if weighs == "new" else 1.0 - SHARE
        self.dtype = dtype or layer.dtype
        arguments = (momentum, EPSILON, self.dtype)
        parameters = (GAMMA.astype(self.dtype), BETA.astype(self.dtype))
        self.layer = layer(self.laid(np.zeros(shape)).shape, *parameters, *arguments, **options)
        self.predictor = Predictor(layer.convention, self.dtype, GAMMA, BETA, momentum, EPSILON)

    def laid(self, x):
        return np.ascontiguousarray(np.moveaxis(x, -1, self.axis), dtype=self.dtype)

    def back(self, y):
        return np.moveaxis(np.asarray(y, np.float64), self.axis, -1)

    def train(self, x, **options):
        return self.back(self.layer.train(self.laid(x), **options))

    def evaluate(self, x):
        return self.back(self.layer.evaluate(self.laid(x)))

    def seen_state(self):
        mean, variance = (np.asarray(v, np.float64).reshape(-1) for v in self.layer.state())
        found = {"mean": mean, "variance": variance}
        return found if self.layer.count is None else found | {"count": int(self.layer.count)}

    def predicted_state(self):
        found = self.predictor.state()
        return found if self.layer.count is None else found | {"count": self.predictor.count}


def _steps(layer, batches):
    run = Run(layer, batches[0].shape)
    seen, predicted = {}, {}
    for name, batch in zip(("first", "second"), batches, strict=False):
        seen[name], predicted[name] = run.train(batch), run.predictor.train(batch)
    seen |= run.seen_state()
    predicted |= run.predicted_state()
    seen["evaluation"], predicted["evaluation"] = run.evaluate(batches[2]), run.predictor.evaluate(batches[2])
    return seen, predicted


def training(layer):
    """Two training steps of different sizes, then evaluation."""
    return _steps(layer, BATCHES)


def images(layer):
    """The same with images."""
    return _steps(layer, IMAGES)


def initial(layer):
    """Evaluation before any training."""
    run = Run(layer, BATCHES[0].shape if 2 in layer.ranks else IMAGES[0].shape)
    x = BATCHES[2] if 2 in layer.ranks else IMAGES[2]
    return {"evaluation": run.evaluate(x)}, {"evaluation": run.predictor.evaluate(x)}


def _after_one_step(layer, x):
    x, first = (x, BATCHES[0]) if 2 in layer.ranks else (x.reshape(len(x), 1, 1, 3), IMAGES[0])
    run = Run(layer, first.shape)
    run.train(first)
    run.predictor.train(first)
    if layer.convention.one_element == "raise" and len(x) == 1:
        predicted = {"raises": "ValueError"}
    else:
        predicted = {"y": run.predictor.train(x)} | run.predicted_state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            seen = {"y": run.train(x)} | run.seen_state()
        except Exception as error:  # noqa: BLE001 - which one it is, is compared
            seen = {"raises": type(error).__name__}
    return seen, predicted


def one_element(layer):
    """A training batch with one element per channel, after one of four."""
    return _after_one_step(layer, np.asarray([[2.0, -1.0, 0.5]]))


def empty_batch(layer):
    """A training batch without elements, after one of four."""
    return _after_one_step(layer, np.zeros((0, 3)))


def defaults(layer):
    """Axis, momentum and epsilon of the live release."""
    names = {"axis", "momentum", "epsilon"} - layer.chosen
    return layer.defaults(), {name: getattr(layer.convention, name) for name in names}


def half(layer):
    """The dtypes of output and state for a batch in float16."""
    batch = BATCHES[0] if 2 in layer.ranks else IMAGES[0]
    x = np.moveaxis(batch, -1, layer.convention.axis).astype(np.float16)
    state = "float16" if layer.convention.state_dtype == "input" else "float32"
    # Promoting float16 with the state gives the dtype of the state.
    output = "float16" if layer.convention.output_dtype == "input" else state
    try:
        y, kept = layer.half(x)
    except Exception as error:  # noqa: BLE001 - which one it is, is compared
        return {"raises": type(error).__name__}, {"output": output, "state": state}
    return {"output": str(y), "state": str(kept)}, {"output": output, "state": state}


def mask(layer):
    """A training batch with a weight for each element."""
    run, batch = _masked(layer)
    seen = {"y": run.train(batch, weights=WEIGHTS.reshape(batch.shape[:-1]))} | run.seen_state()
    return seen, masked(layer, WEIGHTS if layer.convention.mask == "frequency" else WEIGHTS != 0)


def masked(layer, weights):
    """Predict a training batch with these weights."""
    run, batch = _masked(layer)
    return {"y": run.predictor.train(batch, weights)} | run.predicted_state()


def _masked(layer):
    # Keras adds 1e-7 to the sum of the weights, which is within the bound of float32.
    batch = BATCHES[0] if 2 in layer.ranks else IMAGES[0]
    return Run(layer, batch.shape, dtype="float32"), batch


def freeze(layer):
    """A training batch after `trainable = False`."""
    batch, other = (BATCHES if 2 in layer.ranks else IMAGES)[:2]
    run = Run(layer, batch.shape)
    run.train(batch)
    run.predictor.train(batch)
    run.layer.freeze()
    step = run.predictor.train if layer.convention.freeze == "parameters" else run.predictor.evaluate
    seen = {"y": run.train(other)} | run.seen_state() | {"trainable": run.layer.trainable()}
    return seen, {"y": step(other)} | run.predicted_state() | {"trainable": 0}


def ghosts(layer):
    """A training batch in ghost batches of two samples."""
    run = Run(layer, SIX.shape, virtual_batch_size=2)
    seen = {"y": run.train(SIX)} | run.seen_state()
    return seen, {"y": run.predictor.train_ghosts(SIX, 2)} | run.predicted_state()


def replicas(layer):
    """A training batch on two replicas with different numbers of elements."""
    run = Run(layer, BATCHES[0].shape, dtype="float32", replicas=True)
    shards = (BATCHES[0], BATCHES[1][:4])
    weights = (np.asarray([True, True, True, True]), np.asarray([False, True, False, True]))
    found = run.layer.train_replicas([run.laid(x) for x in shards], weights)
    seen = {str(i): run.back(y) for i, y in enumerate(found)} | run.seen_state()
    predicted = {str(i): y for i, y in enumerate(run.predictor.train_replicas(shards, weights))}
    return seen, predicted | run.predicted_state()


SCENARIOS = {
    "training": (training, lambda layer: 2 in layer.ranks),
    "images": (images, lambda layer: 4 in layer.ranks),
    "initial state": (initial, lambda layer: True),
    "one element": (one_element, lambda layer: True),
    "empty batch": (empty_batch, lambda layer: True),
    "defaults": (defaults, lambda layer: True),
    "half precision": (half, lambda layer: True),
    "mask": (mask, lambda layer: layer.convention.mask != "none"),
    "freeze": (freeze, lambda layer: layer.convention.freeze != "none"),
    "ghost batches": (ghosts, lambda layer: layer.convention.ghost_grouping == "strided" and 2 in layer.ranks),
    "replicas": (replicas, lambda layer: layer.has_replicas),
}
"""By name: the scenario, and whether the library has what it needs."""


def differences(seen, wanted):
    """Say where what is seen is not what is wanted; an array is compared within its bound, NaN with NaN."""
    if seen.keys() != wanted.keys():
        return [f"seen are {sorted(seen)}, wanted {sorted(wanted)}: {seen.get('raises', wanted.get('raises'))}"]
    found = []
    for name, value in wanted.items():
        if not isinstance(value, Quantity):
            if seen[name] != value:
                found.append(f"{name} is {seen[name]!r}, not {value!r}")
        elif seen[name].shape != value.value.shape:
            found.append(f"{name} has shape {seen[name].shape}, not {value.value.shape}")
        else:
            both_lost = np.isnan(seen[name]) & np.isnan(value.value)
            near = np.abs(seen[name] - value.value) <= value.error
            if not (near | both_lost).all():
                found.append(f"{name} is {seen[name]}, not {value.value}")
    return found
