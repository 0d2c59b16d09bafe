"""The surface of the two documents on bijectors, row by row: a name, an argument, and what proves it on a backend.

000 is ``tf.contrib.distributions.bijectors.BatchNormalization``, 002 is ``tfp.substrates.numpy.bijectors.RealNVP`` with
what it inherits from Bijector.
"""

from typing import NamedTuple

import numpy as np
import pytest

from bnspec.bijectors import (
    AbsoluteValue,
    BatchNormalization,
    Bijector,
    Chain,
    Exp,
    Identity,
    Invert,
    JointMap,
    RealNVP,
    Reshape,
    Scale,
    Shift,
    real_nvp_default_template,
)
from bnspec.distributions import MultivariateNormalDiag, Normal, TransformedDistribution
from bnspec.layers import BatchNormalization as Layer
from bnspec.variables import Variable
from bnspec_conformance.definition import receive

ROWS = []
BATCH = np.random.default_rng(3).normal(2.0, 3.0, (5, 4)).astype(np.float32)


class Row(NamedTuple):
    """One row of the table."""

    document: str
    name: str
    argument: str
    here: str
    proof: object

    @property
    def id(self):
        return f"{self.document} {self.name} {self.argument}".strip()


def row(document, name, argument="", here=""):
    """Enter a function of a backend as the proof of a row."""

    def enter(proof):
        ROWS.append(Row(document, name, argument, here, proof))
        return proof

    return enter


def equal(backend, left, right):
    """Compare two arrays of a backend by their bytes."""
    return receive(backend, left).tobytes() == receive(backend, right).tobytes()


def shifted(x0, output_units):
    """A conditioner without parameters."""
    return x0[..., :1] * 0.5, x0[..., :1] * 0.25


def flow(**arguments):
    given = {"num_masked": 1, "shift_and_log_scale_fn": shifted, **arguments}
    return RealNVP(**{key: value for key, value in given.items() if value is not None})


# ---------------------------------------------------------------- 000, the bijector of batch normalization


@row("000", "BatchNormalization", "batchnorm_layer", "a `bnspec.layers.BatchNormalization`")
def _(backend):
    layer = Layer(axis=0, epsilon=0.5)
    assert BatchNormalization(layer).batchnorm is layer
    default = BatchNormalization()
    default.inverse(backend.asarray(BATCH))
    default.batchnorm.gamma.assign(np.asarray([-1, 0, 1, 2], np.float32))
    default.apply_constraints()
    assert (default.batchnorm.gamma.numpy() > 0).all()


@row("000", "BatchNormalization", "training")
def _(backend):
    x = backend.asarray(BATCH)
    layer = Layer()
    BatchNormalization(layer).inverse(x)
    moved = layer.moving_mean.numpy()
    assert (moved != 0).all()
    BatchNormalization(layer, training=False).inverse(x)
    assert (layer.moving_mean.numpy() == moved).all()


@row("000", "BatchNormalization", "validate_args", "values are checked eagerly, not under a compiler")
def _(backend):
    bijector = BatchNormalization(validate_args=True)
    bijector.inverse(backend.asarray(BATCH))
    bijector.batchnorm.gamma.assign(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="gamma must not be 0"):
        bijector.inverse(backend.asarray(BATCH))


@row("000", "BatchNormalization", "name")
def _(backend):
    assert BatchNormalization(name="first bn").name == "first_bn"
    assert BatchNormalization().name == "batch_normalization"


@row("000", "BatchNormalization", "raises ValueError", "another kind of layer, renorm, virtual batches")
def _(backend):
    for layer in (object(), Layer(renorm=True), Layer(virtual_batch_size=2)):
        with pytest.raises(ValueError, match="batchnorm_layer must"):
            BatchNormalization(layer)


@row("000", "dtype", "", "None: any real floating one")
def _(backend):
    assert BatchNormalization().dtype is None


@row("000", "event_ndims", "", "the minimal rank of an event")
def _(backend):
    assert BatchNormalization().event_ndims == 1
    assert BatchNormalization(Layer(axis=[1, 3])).event_ndims == 2


@row("000", "graph_parents", "", "what the constructor was given: none")
def _(backend):
    assert BatchNormalization().graph_parents == []


@row("000", "is_constant_jacobian")
def _(backend):
    assert BatchNormalization().is_constant_jacobian is False


@row("000", "validate_args")
def _(backend):
    assert BatchNormalization(validate_args=True).validate_args is True
    assert BatchNormalization().validate_args is False


@row("000", "forward", "x, name", "de-normalizes with the running averages")
def _(backend):
    x = backend.asarray(BATCH)
    layer = Layer(epsilon=0.0)
    layer.build(BATCH.shape, like=x)
    layer.moving_mean.assign(np.full(4, 3.0, np.float32))
    layer.moving_variance.assign(np.full(4, 4.0, np.float32))
    assert (receive(backend, BatchNormalization(layer).forward(x, name="f")) == BATCH * 2 + 3).all()


@row("000", "inverse", "y, name", "normalizes with the mean and the variance of the batch")
def _(backend):
    x = receive(backend, BatchNormalization(Layer(epsilon=0.0)).inverse(backend.asarray(BATCH), name="i"))
    near = abs(x.mean(0)).max() + abs(x.var(0) - 1).max()
    assert near < abs(BATCH.mean(0)).min()


@row("000", "forward and inverse", "training=False", "undo each other in evaluation, and not in training")
def _(backend):
    layer = Layer()
    BatchNormalization(layer).inverse(backend.asarray(BATCH))
    apart = {}
    for training in (True, False):
        bijector = BatchNormalization(layer, training=training)
        back = receive(backend, bijector.forward(bijector.inverse(backend.asarray(BATCH))))
        apart[training] = abs(back - BATCH).max()
    assert apart[False] < apart[True] / 1000


for direction in ("forward", "inverse"):
    argument = {"forward": "x", "inverse": "y"}[direction]
    shape_argument = {"forward": "input_shape", "inverse": "output_shape"}[direction]

    @row("000", f"{direction}_event_shape", shape_argument, "tuples; sizes may be None")
    def _(backend, direction=direction):
        assert getattr(BatchNormalization(), f"{direction}_event_shape")((None, 4)) == (None, 4)

    @row("000", f"{direction}_event_shape_tensor", f"{shape_argument}, name")
    def _(backend, direction=direction):
        sizes = backend.asarray(np.asarray([5, 4], np.int32))
        found = getattr(BatchNormalization(), f"{direction}_event_shape_tensor")(sizes, name="s")
        assert receive(backend, found).tolist() == [5, 4]

    @row("000", f"{direction}_log_det_jacobian", f"{argument}, name", "without `event_ndims`: of the minimal event")
    def _(backend, direction=direction):
        bijector, x = BatchNormalization(), backend.asarray(BATCH)
        found = getattr(bijector, f"{direction}_log_det_jacobian")(x, name="l")
        assert equal(backend, found, getattr(bijector, f"{direction}_log_det_jacobian")(x, event_ndims=1))
        assert receive(backend, found).shape == (5,)


# ---------------------------------------------------------------- 002, Real NVP and Bijector


@row("002", "RealNVP", "num_masked", "negative: the last units are masked")
def _(backend):
    x = backend.asarray(BATCH)
    first, last = (receive(backend, flow(num_masked=count).forward(x)) for count in (1, -1))
    assert (first[:, 0] == BATCH[:, 0]).all()
    assert (first[:, 1:] != BATCH[:, 1:]).all()
    assert (last[:, -1] == BATCH[:, -1]).all()
    assert (last[:, :-1] != BATCH[:, :-1]).all()


@row("002", "RealNVP", "fraction_masked", "truncated toward zero, on the decimal value of the float")
def _(backend):
    wide = backend.asarray(np.ones((2, 100), np.float32))
    seen = []

    def fn(x0, output_units):
        seen.append((x0.shape[-1], output_units))
        return x0[..., :1], None

    flow(num_masked=None, fraction_masked=0.29, shift_and_log_scale_fn=fn).forward(wide)
    flow(num_masked=None, fraction_masked=-0.5, shift_and_log_scale_fn=fn).forward(wide)
    assert seen == [(29, 71), (50, 50)]


@row("002", "RealNVP", "shift_and_log_scale_fn", "either result may be None")
def _(backend):
    x = backend.asarray(BATCH)
    nice = flow(shift_and_log_scale_fn=lambda x0, units: (x0[..., :1] + 1.0, None))
    moved = receive(backend, nice.forward(x))
    assert (moved[:, 1:] == BATCH[:, 1:] + (BATCH[:, :1] + np.float32(1))).all()
    assert (receive(backend, nice.forward_log_det_jacobian(x)) == np.zeros(5)).all()
    assert equal(backend, flow(shift_and_log_scale_fn=lambda x0, units: (None, None)).forward(x), x)


@row("002", "RealNVP", "bijector_fn", "any scalar or vector bijector that keeps the rank")
def _(backend):
    x = backend.asarray(BATCH)
    scaled = flow(shift_and_log_scale_fn=None, bijector_fn=lambda x0, units: Scale(2.0))
    assert (receive(backend, scaled.forward(x))[:, 1:] == 2 * BATCH[:, 1:]).all()
    with pytest.raises(ValueError, match="rank"):
        flow(shift_and_log_scale_fn=None, bijector_fn=lambda x0, units: Reshape([3, 1], [3])).forward(x)


@row("002", "RealNVP", "is_constant_jacobian")
def _(backend):
    assert flow(is_constant_jacobian=True).is_constant_jacobian is True
    assert flow().is_constant_jacobian is False


@row("002", "RealNVP", "validate_args")
def _(backend):
    assert flow(validate_args=True).validate_args is True


@row("002", "RealNVP", "name")
def _(backend):
    assert flow(name="coupling").name == "coupling"


@row("002", "RealNVP", "raises ValueError", "both or neither function, both or neither mask")
def _(backend):
    for arguments in (
        {"bijector_fn": lambda x0, units: Exp()},
        {"shift_and_log_scale_fn": None},
        {"fraction_masked": 0.5},
        {"num_masked": None},
    ):
        with pytest.raises(ValueError, match="must"):
            flow(**arguments)


@row("002", "RealNVP", "an event that is too small", "the number of masked units must be below its size")
def _(backend):
    with pytest.raises(ValueError, match="4"):
        flow(num_masked=4).forward(backend.asarray(BATCH))


@row("002", "RealNVP", "another event size", "not memoized: the callables decide")
def _(backend):
    one = flow(num_masked=1)
    assert receive(backend, one.forward(backend.asarray(BATCH))).shape == (5, 4)
    assert receive(backend, one.forward(backend.asarray(BATCH[:, :2].copy()))).shape == (5, 2)


@row("002", "real_nvp_default_template", "hidden_layers, shift_only", "a network with visible variables")
def _(backend):
    bijector = flow(shift_and_log_scale_fn=real_nvp_default_template([8, 8], shift_only=True))
    bijector.forward(backend.asarray(BATCH))
    assert len(bijector.trainable_variables) == 6
    assert (receive(backend, bijector.forward_log_det_jacobian(backend.asarray(BATCH))) == np.zeros(5)).all()


@row("002", "dtype", "", "that of the parameters that are arrays, else None")
def _(backend):
    scale = backend.asarray(np.float32([2.0]))
    assert Scale(scale).dtype == scale.dtype
    assert flow().dtype is None


@row("002", "forward_min_event_ndims")
def _(backend):
    assert flow().forward_min_event_ndims == 1
    assert JointMap([Exp(), flow()]).forward_min_event_ndims == [0, 1]


@row("002", "inverse_min_event_ndims")
def _(backend):
    assert Reshape([2, 2], [4]).inverse_min_event_ndims == 2


@row("002", "graph_parents")
def _(backend):
    assert flow().graph_parents == []


@row("002", "has_static_min_event_ndims", "", "always")
def _(backend):
    assert flow().has_static_min_event_ndims is True


@row("002", "is_constant_jacobian")
def _(backend):
    assert Scale(2.0).is_constant_jacobian is True
    assert Exp().is_constant_jacobian is False


@row("002", "name")
def _(backend):
    assert flow().name == "real_nvp"


@row("002", "parameters")
def _(backend):
    assert flow(num_masked=2).parameters["num_masked"] == 2


@row("002", "variables, trainable_variables", "", "those of networks and layers, in closures too")
def _(backend):
    scale = Variable("scale", backend.asarray(np.float32([2.0])), trainable=True)
    network = real_nvp_default_template([3])
    coupling = flow(shift_and_log_scale_fn=lambda x0, output_units: network(x0, output_units)[0:2])
    bijector = Chain([Scale(scale), coupling, BatchNormalization()])
    bijector.inverse(backend.asarray(BATCH))
    assert len(bijector.variables) == 1 + 4 + 5
    assert len(bijector.trainable_variables) == 1 + 4 + 2


@row("002", "validate_args")
def _(backend):
    assert flow().validate_args is False


@row("002", "forward", "x, name, **kwargs")
def _(backend):
    def fn(x0, output_units, offset=0.0):
        return x0[..., :1] * 0.0 + offset, None

    found = receive(backend, flow(shift_and_log_scale_fn=fn).forward(backend.asarray(BATCH), name="f", offset=1.0))
    assert (found[:, 1:] == BATCH[:, 1:] + np.float32(1)).all()
    with pytest.raises(TypeError, match="condition='ofset'"):
        flow(shift_and_log_scale_fn=fn).forward(backend.asarray(BATCH), ofset=1.0)


@row("002", "inverse", "y, name, **kwargs", "a tuple of all preimages where the bijector is not injective")
def _(backend):
    x = backend.asarray(BATCH)
    assert abs(receive(backend, flow().inverse(flow().forward(x), name="i")) - BATCH).max() < abs(BATCH).min() / 100
    low, high = AbsoluteValue().inverse(backend.asarray(abs(BATCH)))
    assert (receive(backend, low) == -abs(BATCH)).all()
    assert (receive(backend, high) == abs(BATCH)).all()


for direction in ("forward", "inverse"):
    argument = {"forward": "x", "inverse": "y"}[direction]
    shape_argument = {"forward": "input_shape", "inverse": "output_shape"}[direction]

    @row("002", f"{direction}_dtype", "dtype, name, **kwargs")
    def _(backend, direction=direction):
        kind = backend.asarray(BATCH).dtype
        assert getattr(flow(), f"{direction}_dtype")(kind, name="d") == kind
        assert getattr(flow(), f"{direction}_dtype")() is None

    @row("002", f"{direction}_event_ndims", "event_ndims, **kwargs")
    def _(backend, direction=direction):
        rises = {"forward": 2, "inverse": 1}[direction]
        assert (
            getattr(Reshape([2, 2], [4]), f"{direction}_event_ndims")({"forward": 1, "inverse": 2}[direction]) == rises
        )
        assert getattr(flow(), f"{direction}_event_ndims")(None) is None

    @row("002", f"{direction}_event_shape", shape_argument, "tuples; sizes may be None")
    def _(backend, direction=direction):
        given, found = {"forward": ((4,), (2, 2)), "inverse": ((2, 2), (4,))}[direction]
        assert getattr(Reshape([2, 2], [4]), f"{direction}_event_shape")(given) == found
        assert getattr(flow(), f"{direction}_event_shape")((None,)) == (None,)

    @row("002", f"{direction}_event_shape_tensor", f"{shape_argument}, name")
    def _(backend, direction=direction):
        given, wanted = {"forward": ([4], [2, 2]), "inverse": ([2, 2], [4])}[direction]
        sizes = backend.asarray(np.asarray(given, np.int32))
        found = getattr(Reshape([2, 2], [4]), f"{direction}_event_shape_tensor")(sizes, name="s")
        assert receive(backend, found).tolist() == wanted

    @row(
        "002",
        f"{direction}_log_det_jacobian",
        f"{argument}, event_ndims, name, **kwargs",
        "of the full shape of the batch",
    )
    def _(backend, direction=direction):
        x = backend.asarray(BATCH)
        one = getattr(Scale(2.0), f"{direction}_log_det_jacobian")
        assert receive(backend, one(x, 0)).shape == (5, 4)
        assert receive(backend, one(x, event_ndims=1, name="l")).shape == (5,)
        assert receive(backend, one(x, 2)).shape == ()
        with pytest.raises(ValueError, match="event_ndims must be at least 1"):
            getattr(flow(), f"{direction}_log_det_jacobian")(x, 0)


@row("002", "forward_log_det_jacobian", "raises NotImplementedError", "where there is none, or several preimages")
def _(backend):
    class OneWay(Bijector):
        def __init__(self):
            super().__init__(forward_min_event_ndims=1)

        def _forward_and_log_det(self, x):
            return x, None

    for bijector in (AbsoluteValue(), OneWay()):
        with pytest.raises(NotImplementedError, match="must"):
            bijector.forward_log_det_jacobian(backend.asarray(BATCH))


@row("002", "inverse_log_det_jacobian", "a tuple", "one for each preimage")
def _(backend):
    found = AbsoluteValue().inverse_log_det_jacobian(backend.asarray(abs(BATCH)))
    assert [receive(backend, part).tolist() for part in found] == [np.zeros((5, 4)).tolist()] * 2


@row("002", "structures", "x, event_ndims", "`JointMap`")
def _(backend):
    joint, x = JointMap({"a": Exp(), "b": Scale(2.0)}), backend.asarray(BATCH)
    assert set(joint.forward({"a": x, "b": x})) == {"a", "b"}
    found = joint.forward_log_det_jacobian({"a": x, "b": x}, {"a": 1, "b": 1})
    assert receive(backend, found).shape == (5,)


@row("002", "__call__", "a distribution")
def _(backend):
    assert isinstance(Exp()(Normal(0, 1)), TransformedDistribution)


@row("002", "__call__", "a bijector")
def _(backend):
    assert [part.name for part in Exp()(Shift(1.0)).bijectors] == ["exp", "shift"]


@row("002", "__call__", "an array, **kwargs")
def _(backend):
    assert equal(backend, Exp()(backend.asarray(BATCH)), Exp().forward(backend.asarray(BATCH)))


@row("002", "__call__", "name")
def _(backend):
    assert Exp()(Shift(1.0), name="both").name == "both"


@row("002", "__eq__", "other", "equal parameters; names do not count")
def _(backend):
    assert Scale(2.0) == Scale(2.0, name="another")
    assert Scale(2.0) != Scale(3.0)
    assert Scale(2.0) != Shift(2.0)
    assert Chain([Exp(), Shift(1.0)]) == Chain([Exp(), Shift(1.0)])
    assert hash(Invert(Exp())) == hash(Invert(Exp()))


@row("002", "the example", "MultivariateNormalDiag, RealNVP", "`sample()`, `log_prob(x)`, `log_prob([0., 0., 0.])`")
def _(backend):
    loc = backend.asarray(np.zeros(3, np.float32))
    network = real_nvp_default_template(hidden_layers=[512, 512])
    nvp = TransformedDistribution(
        distribution=MultivariateNormalDiag(loc=loc), bijector=RealNVP(num_masked=2, shift_and_log_scale_fn=network)
    )
    x = nvp.sample()
    assert receive(backend, x).shape == (3,)
    assert np.isfinite(receive(backend, nvp.log_prob(x)))
    assert np.isfinite(receive(backend, nvp.log_prob([0.0, 0.0, 0.0])))
    assert Identity()(loc) is not None
