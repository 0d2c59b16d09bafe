"""Each refusal of the layer says what is required and what came, and leaves the layer as it was."""

import array_api_strict
import numpy as np
import pytest

from bnspec.layers import BatchNormalization

from .layer_helpers import X, values


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"axis": 1.5}, TypeError, r"axis must be an integer or a sequence of them\. Got axis=1\.5\."),
        ({"momentum": 2.0}, ValueError, r"momentum must be in \[0, 1\]\. Got momentum=2\.0\."),
        ({"epsilon": -1.0}, ValueError, r"epsilon must be finite and not negative\. Got epsilon=-1\.0\."),
        ({"center": 1}, TypeError, r"center must be a bool\. Got center=1\."),
        ({"scale": "yes"}, TypeError, r"scale must be a bool\. Got scale='yes'\."),
        ({"renorm": 1}, TypeError, r"renorm must be a bool\. Got renorm=1\."),
        ({"trainable": None}, TypeError, r"trainable must be a bool\. Got trainable=None\."),
        ({"defer_updates": "now"}, TypeError, r"defer_updates must be a bool\. Got defer_updates='now'\."),
        ({"name": 3}, TypeError, r"name must be a string or None\. Got name=3\."),
        ({"dtype": "int32"}, TypeError, r"dtype must be real floating or None: .*Got dtype='int32'\."),
        ({"dtype": np.int64}, TypeError, r"dtype must be real floating or None: .*Got dtype=<class 'numpy\.int64'>\."),
        (
            {"gamma_initializer": "one"},
            ValueError,
            r"gamma_initializer must name an initializer\. Got gamma_initializer='one'\. Did you mean 'ones'\?",
        ),
        ({"gamma_initializer": None}, TypeError, r"gamma_initializer must be the name of an initializer, or callable"),
        ({"moving_mean_initializer": 0.0}, TypeError, r"Got moving_mean_initializer=0\.0\."),
        (
            {"beta_initializer": {"config": {}}},
            ValueError,
            r"must name an initializer\. Got beta_initializer=None\.",
        ),
        (
            {"beta_initializer": {"class_name": "Constant", "config": {"valeu": 1}}},
            ValueError,
            r"beta_initializer must have known fields\. Got beta_initializer='Constant', field='valeu'\. .*'value'\?",
        ),
        (
            {"beta_regularizer": "l3"},
            ValueError,
            r"beta_regularizer must name a regularizer\. .*Known are: l1, l1_l2, l2\.",
        ),
        (
            {"gamma_regularizer": 3},
            TypeError,
            r"gamma_regularizer must be the name of a regularizer, or callable\.",
        ),
        ({"gamma_constraint": "nonneg"}, ValueError, r"gamma_constraint must name a constraint\. .*mean 'non_neg'\?"),
        ({"renorm_clipping": [1]}, TypeError, r"renorm_clipping must be a dict or None\. Got renorm_clipping=\[1\]\."),
        (
            {"renorm": True, "renorm_clipping": {"r_max": 3.0}},
            ValueError,
            r"renorm_clipping must have the keys rmax, rmin and dmax\. Got key='r_max'\. Did you mean 'rmax'\?",
        ),
        (
            {"renorm": True, "renorm_clipping": {"rmin": 2.0, "rmax": 1.0}},
            ValueError,
            r"0 <= rmin <= rmax must hold\. Got rmin=2\.0, rmax=1\.0\.",
        ),
        ({"renorm_clipping": {"dmax": -1.0}}, ValueError, r"dmax must not be negative\. Got dmax=-1\.0\."),
        ({"renorm_clipping": {"dmax": "1"}}, TypeError, r"dmax must be a real number\. Got dmax='1'\."),
        (
            {"renorm_momentum": 1.5},
            ValueError,
            r"momentum of renormalization must be in \[0, 1\]\. Got momentum=1\.5\.",
        ),
        ({"fused": 1}, TypeError, r"fused must be a bool or None\. Got fused=1\."),
        (
            {"fused": True, "renorm": True},
            ValueError,
            r"fused=True must not be given with renorm\. .*Take fused=None\.",
        ),
        (
            {"fused": True, "virtual_batch_size": 2},
            ValueError,
            r"fused=True must not be given with virtual_batch_size\.",
        ),
        ({"fused": True, "adjustment": len}, ValueError, r"fused=True must not be given with adjustment\."),
        ({"fused": True, "axis": [0, 1]}, ValueError, r"fused=True must not be given with several axes\."),
        ({"virtual_batch_size": 0}, ValueError, r"virtual_batch_size must be positive\. Got virtual_batch_size=0\."),
        ({"virtual_batch_size": -2}, ValueError, r"virtual_batch_size must be positive\. Got virtual_batch_size=-2\."),
        ({"virtual_batch_size": 2.0}, TypeError, r"virtual_batch_size must be an integer or None\. Got .*=2\.0\."),
        (
            {"virtual_batch_size": 2, "adjustment": len},
            ValueError,
            r"adjustment and virtual_batch_size must not be given together\. Got virtual_batch_size=2\. Leave one",
        ),
        ({"adjustment": 1.0}, TypeError, r"adjustment must be a function of a shape, or None\. Got adjustment=1\.0\."),
        (
            {"convention": "tf_layer"},
            ValueError,
            r"must be that of a convention\. Got name='tf_layer'\. .*'TF_LAYERS'\?",
        ),
        (
            {"convention": None},
            TypeError,
            r"convention must be a bnspec\.conventions\.Convention, or the name of one\.",
        ),
        (
            {"convention": {"nmae": "X"}},
            ValueError,
            r"convention must have known fields\. Got field='nmae'\. .*'name'\?",
        ),
    ],
)
def test_arguments(arguments, error, text):
    with pytest.raises(error, match=text):
        BatchNormalization(**arguments)


def test_limits_of_renormalization_may_be_arrays_of_shape_0(backend):
    limits = {name: backend.asarray(np.asarray(value, np.float32)) for name, value in (("rmax", 3.0), ("dmax", 5.0))}
    renorm = BatchNormalization(renorm=True, renorm_clipping=limits).spec.renorm
    assert (renorm.rmin, renorm.rmax, renorm.dmax) == (0.0, 3.0, 5.0)


MASK = np.ones((6, 4), bool)
CALLS = [
    ((X[:, :, :2],), {}, ValueError, r"gamma must have shape \(2,\)\. Got shape=\(6, 4, 2\), axis=-1, gamma=\(3,\)\."),
    ((X.astype(int),), {}, TypeError, r"x must be real floating: .*Got dtype='int64'\."),
    ((X.tolist(),), {}, TypeError, r"x must be an array of a known library: "),
    ((X, 1), {}, TypeError, r"training must be a bool, or a boolean array of shape \(\)\. Got training=1\."),
    ((X, True), {"weights": X[0]}, ValueError, r"weights must have the rank of x .*x=\(6, 4, 3\), weights=\(4, 3\)"),
    ((X, True), {"weights": MASK}, TypeError, r"weights must be real floating: .*Got dtype='bool'\."),
    (
        (X, True),
        {"weights": X, "mask": MASK},
        ValueError,
        r"weights and mask must not be given together\. Multiply them\.",
    ),
    (
        (X, True),
        {"mask": MASK[0]},
        ValueError,
        r"mask must have the rank of x or one axis less, without the feature axis\. Got x=\(6, 4, 3\), mask=\(4,\)\.",
    ),
    ((X, False), {"mask": MASK[:, :2]}, ValueError, r"weights must have .*x=\(6, 4, 3\), weights=\(6, 2, 1\)"),
    ((X, True), {"mask": MASK.astype(int)}, TypeError, r"mask must be boolean\. Got dtype='int64'\. Pass frequencies"),
    ((X, True), {"mask": array_api_strict.asarray(MASK)}, TypeError, r"All arrays must be of one array library\."),
    ((X, True), {"mask": MASK.tolist()}, TypeError, r"mask must be an array of a known library"),
    ((X, True), {"name": 5}, TypeError, r"name must be a string or None\. Got name=5\."),
    ((array_api_strict.asarray(X),), {}, TypeError, r"All arrays must be of one array library\."),
]


@pytest.mark.parametrize(("given", "more", "error", "text"), CALLS)
def test_calls(given, more, error, text):
    layer = BatchNormalization()
    layer.build((None, None, 3), like=X)
    with pytest.raises(error, match=text):
        layer(*given, **more)
    assert values(layer)["num_batches"] == 0
    assert not values(layer)["moving_mean"].any()


@pytest.mark.parametrize(("given", "more", "error", "text"), CALLS[1:-1])
def test_a_first_call_that_raises_makes_no_variables(given, more, error, text):
    layer = BatchNormalization()
    with pytest.raises(error, match=text):
        layer(*given, **more)
    assert not layer.built
    assert layer.input_shape is layer.dtype is None


def test_a_mask_with_several_feature_axes_has_the_rank_of_x():
    layer = BatchNormalization(axis=[1, 2])
    with pytest.raises(ValueError, match=r"mask must have the rank of x\. Got x=\(6, 4, 3\), mask=\(6, 4\)\."):
        layer(X, training=True, mask=MASK)


@pytest.mark.parametrize(
    ("adjustment", "error", "text"),
    [
        (lambda shape: None, None, ""),
        (lambda shape: X[0], TypeError, r"adjustment must be a pair of arrays, scale and bias"),
        (lambda shape: (X[0], None), TypeError, r"adjustment must be a pair of arrays, scale and bias"),
        (lambda shape: (X[0], X[0, :2]), ValueError, r"adjustment must broadcast to x\. .*adjustment=\(2, 3\)"),
        (lambda shape: (1.0, 0.0), TypeError, r"the scale of adjustment must be an array of a known library"),
    ],
)
def test_what_an_adjustment_returns(adjustment, error, text):
    layer = BatchNormalization(adjustment=adjustment)
    if error is None:
        layer(X, training=True)
        return
    with pytest.raises(error, match=text):
        layer(X, training=True)
    assert not layer.built


def test_virtual_batches_divide_the_batch_in_training_alone():
    layer = BatchNormalization(virtual_batch_size=4)
    layer(X)
    with pytest.raises(ValueError, match=r"must divide the number of samples in training\. Got samples=6, "):
        layer(X, training=True)
    assert values(layer)["num_batches"] == 0


def test_trainable_is_set_to_bools():
    layer = BatchNormalization()
    with pytest.raises(TypeError, match=r"trainable must be a bool\. Got trainable=0\."):
        layer.trainable = 0
    assert layer.trainable


def test_what_is_decided_cannot_be_set():
    layer = BatchNormalization()
    for name in ("spec", "dtype", "gamma", "input_shape", "variables"):
        with pytest.raises(AttributeError, match=name):
            setattr(layer, name, None)


@pytest.mark.parametrize(
    ("weights", "training", "text"),
    [
        ([[1.0], [-0.5], [1.0]], True, r"weights must not be negative or NaN\. Got least=-0\.5\."),
        ([[1.0], [np.nan], [1.0]], True, r"weights must not be negative or NaN\. Got least=nan\."),
        ([[1.0], [-0.5], [1.0]], False, r"weights must not be negative"),
        ([[0.0], [0.0], [0.0]], True, r"weights must not all be 0 in training: .* Leave the batch out\."),
    ],
)
def test_weights_without_meaning_are_refused_and_change_nothing(weights, training, text):
    x = np.asarray([[1.0, 2.0], [3.0, 5.0], [4.0, 9.0]])
    layer = BatchNormalization()
    layer(x, training=True)
    before = layer.get_weights()
    with pytest.raises(ValueError, match=text):
        layer(x, training=training, weights=np.asarray(weights))
    assert all(np.array_equal(*pair) for pair in zip(before, layer.get_weights(), strict=True))


def test_no_weights_are_looked_at_in_an_empty_batch():
    layer = BatchNormalization()
    assert layer(np.zeros((0, 2)), training=True, weights=np.zeros((0, 1))).shape == (0, 2)
