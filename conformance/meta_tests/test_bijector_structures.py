"""Bijectors of structures of arrays: JointMap, and chains of them."""

from math import log

import numpy as np
import pytest

from bnspec.bijectors import (
    AbsoluteValue,
    Chain,
    Exp,
    Identity,
    Inline,
    Invert,
    JointMap,
    Log,
    Reshape,
    Scale,
    ScaleMatvecDiag,
    Shift,
)
from bnspec.distributions import MultivariateNormalDiag, TransformedDistribution
from bnspec_conformance.definition import receive

from .bijector_helpers import near, of, same

X = np.asarray([[1.0, 2.0, -3.0], [0.5, 4.0, 8.0]])

STRUCTURES = {
    "list": lambda a, b: [a, b],
    "tuple": lambda a, b: (a, b),
    "dict": lambda a, b: {"a": a, "b": b},
    "nested": lambda a, b: {"c": [a], "b": b},
}


def leaves(structure):
    if isinstance(structure, dict):
        structure = list(structure.values())
    if isinstance(structure, (list, tuple)):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def joint(form, a, b):
    if form == "nested":
        return JointMap({"c": JointMap([a]), "b": b})
    return JointMap(STRUCTURES[form](a, b))


@pytest.mark.parametrize("form", STRUCTURES)
def test_structures_are_mapped_part_by_part(backend, form):
    build = STRUCTURES[form]
    bijector = joint(form, Scale(2.0), ScaleMatvecDiag([4.0, 8.0]))
    assert bijector.forward_min_event_ndims == build(0, 1)
    assert bijector.event_ndims == build(0, 1)
    assert bijector.is_constant_jacobian
    x = build(of(backend, [1.0, 3.0]), of(backend, [[1.0, 2.0], [3.0, 4.0]]))
    y, log_det = bijector.forward_and_log_det(x)
    assert type(y) is type(x)
    same(backend, leaves(y)[0], [2.0, 6.0])
    same(backend, leaves(y)[1], [[4.0, 16.0], [12.0, 32.0]])
    near(backend, log_det, [6 * log(2.0)] * 2)
    near(backend, bijector.forward_log_det_jacobian(x, event_ndims=build(1, 2)), 12 * log(2.0))
    back, log_det = bijector.inverse_and_log_det(y)
    same(backend, leaves(back)[1], [[1.0, 2.0], [3.0, 4.0]])
    near(backend, log_det, [-6 * log(2.0)] * 2)
    inverted = Invert(bijector)
    same(backend, leaves(inverted.forward(y))[0], [1.0, 3.0])
    near(backend, inverted.forward_log_det_jacobian(y, event_ndims=build(1, 2)), -12 * log(2.0))
    assert "min_event_ndims" in repr(inverted)


def test_shapes_ranks_and_dtypes_are_structures(backend):
    for bijector in (
        JointMap({"a": Scale(of(backend, [2.0])), "b": Reshape([2, 3])}),
        Invert(JointMap({"a": Invert(Scale(of(backend, [2.0]))), "b": Reshape([6], [2, 3])})),
    ):
        assert bijector.forward_event_shape({"a": (5,), "b": (6,)}) == {"a": (5,), "b": (2, 3)}
        assert bijector.inverse_event_shape({"a": (5,), "b": (2, 3)}) == {"a": (5,), "b": (6,)}
        found = bijector.forward_event_shape_tensor({"a": (5,), "b": (6,)})
        assert {key: tuple(value) for key, value in found.items()} == {"a": (5,), "b": (2, 3)}
        assert bijector.forward_event_ndims({"a": 1, "b": 2}) == {"a": 1, "b": 3}
        assert bijector.inverse_event_ndims({"a": 1, "b": 3}) == {"a": 1, "b": 2}
        assert bijector.forward_event_ndims(None) is None
        float32 = backend.namespace().float32
        assert bijector.forward_dtype() == {"a": float32, "b": None}
        assert bijector.inverse_dtype({"a": float32, "b": float32}) == {"a": float32, "b": float32}
        assert bijector.dtype is None
        assert len({bijector, bijector.copy()}) == 1


def test_halves_in_structures_are_rounded_back(backend):
    if "float16" in backend.gaps():
        pytest.skip(backend.gaps()["float16"])
    bijector = JointMap([Scale(2.0), Scale(4.0)])
    y, log_det = bijector.forward_and_log_det([of(backend, [1.0], "float16"), of(backend, [1.0], "float16")])
    same(backend, y[1], [4.0], "float16")
    assert receive(backend, log_det).dtype == np.float16
    y, log_det = bijector.forward_and_log_det([of(backend, [1.0], "float16"), of(backend, [1.0])])
    same(backend, y[0], [2.0], "float16")
    near(backend, log_det, [log(8.0)])


def test_bad_structures_are_refused(backend):
    x = of(backend, [1.0, 2.0])
    pair = JointMap([Exp(), Exp()])
    for given in ([x], x, {"a": x, "b": x}):
        with pytest.raises(ValueError, match=r"x must be a structure of the form of the bijectors. Got form="):
            pair.forward(given)
    with pytest.raises(ValueError, match="x must be a structure of the form"):
        JointMap({"a": Exp()}).forward({"b": x})
    with pytest.raises(ValueError, match=r"all parts must have one batch.*batches=\[\(2,\), \(1,\)\]"):
        pair.forward_log_det_jacobian([x, of(backend, [1.0])])
    with pytest.raises(ValueError, match=r"all parts must have one batch.*batches=\[\(2,\), \(\)\]"):
        pair.forward_log_det_jacobian([x, x], event_ndims=[0, 1])
    assert pair.forward_event_ndims([0, 1]) == [0, 1]
    with pytest.raises(
        NotImplementedError, match=r"joint_map must map arrays to have one batch of parameters. Ask its"
    ):
        pair.parameter_batch_shape()
    for ranks in (1, [1], {"a": 1, "b": 1}):
        with pytest.raises(ValueError, match="event_ndims must be a structure of the form"):
            pair.forward_log_det_jacobian([x, x], event_ndims=ranks)
    with pytest.raises(TypeError, match="event_ndims must be an integer"):
        pair.forward_log_det_jacobian([x, x], event_ndims=[1.0, 1.0])
    for given in (Exp(), None, {Exp()}):
        with pytest.raises(TypeError, match="bijectors must be a list, a tuple or a dict of bijectors"):
            JointMap(given)
    with pytest.raises(ValueError, match="bijectors must not be empty"):
        JointMap([])
    one_way = JointMap([Exp(), AbsoluteValue()])
    same(backend, one_way.forward([x, of(backend, [-1.0])])[1], [1.0])
    with pytest.raises(NotImplementedError, match="all parts of joint_map must be injective for an inverse"):
        one_way.inverse([x, x])
    with pytest.raises(NotImplementedError, match="must be injective to have a forward log-det"):
        one_way.forward_log_det_jacobian([x, x])
    with pytest.raises(ValueError, match="x must be positive"):
        JointMap([Exp(), Log()], validate_args=True).forward([x, of(backend, [-1.0])])


def two_steps():
    return Chain([JointMap([Shift(1.0), Reshape([2, 2])]), JointMap([ScaleMatvecDiag([2.0, 4.0]), Scale(-0.5)])])


def test_a_chain_maps_structures(backend):
    chain = two_steps()
    assert (chain.forward_min_event_ndims, chain.inverse_min_event_ndims) == ([1, 1], [1, 2])
    assert chain.is_constant_jacobian
    assert chain.dtype is None
    assert chain == JointMap([Shift(1.0), Reshape([2, 2])])(JointMap([ScaleMatvecDiag([2.0, 4.0]), Scale(-0.5)]))
    x = [of(backend, [[1.0, 3.0], [2.0, -1.0]]), of(backend, [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])]
    y, log_det = chain.forward_and_log_det(x)
    same(backend, y[0], [[3.0, 13.0], [5.0, -3.0]])
    same(backend, y[1], [[[-0.5, -1.0], [-1.5, -2.0]], [[-2.5, -3.0], [-3.5, -4.0]]])
    near(backend, log_det, [-log(2.0)] * 2, size=16.0)
    near(backend, chain.forward_log_det_jacobian(x, event_ndims=[2, 2]), -2 * log(2.0), size=32.0)
    back, log_det = chain.inverse_and_log_det(y)
    same(backend, back[0], [[1.0, 3.0], [2.0, -1.0]])
    near(backend, log_det, [log(2.0)] * 2, size=16.0)
    assert chain.forward_event_shape([(5, 2), (4,)]) == [(5, 2), (2, 2)]
    assert chain.inverse_event_shape([(5, 2), (2, 2)]) == [(5, 2), (4,)]
    assert [tuple(each) for each in chain.forward_event_shape_tensor([(2,), (4,)])] == [(2,), (2, 2)]
    assert chain.forward_event_ndims([1, 3]) == [1, 4]
    assert chain.inverse_event_ndims([1, 4]) == [1, 3]
    assert chain.forward_event_ndims(None) is None
    inverted = Invert(chain)
    assert (inverted.forward_min_event_ndims, inverted.inverse_min_event_ndims) == ([1, 2], [1, 1])
    same(backend, inverted.forward(y)[1], [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]])
    near(backend, inverted.forward_log_det_jacobian(y, event_ndims=[1, 2]), [log(2.0)] * 2, size=16.0)
    assert len({chain, chain.copy(name="other")}) == 1


def test_a_chain_in_a_chain_in_a_structure(backend):
    outer = JointMap({"a": Chain([Invert(two_steps()), two_steps()]), "b": Exp()})
    x = {"a": [of(backend, [1.0, 3.0]), of(backend, [1.0, 2.0, 3.0, 4.0])], "b": of(backend, 0.0)}
    y, log_det = Chain([outer, outer]).forward_and_log_det(x)
    same(backend, y["a"][0], [1.0, 3.0])
    same(backend, y["a"][1], [1.0, 2.0, 3.0, 4.0])
    near(backend, y["b"], np.exp(1.0))
    near(backend, log_det, 1.0, size=64.0)
    mixed = Chain([JointMap((Exp(), Identity())), JointMap([Identity(), Scale(2.0)])])
    found = mixed.forward((of(backend, 0.0), of(backend, 1.0)))
    assert isinstance(found, tuple)
    same(backend, found[1], 2.0)


def test_conditions_reach_the_parts_of_structures_in_a_chain(backend):
    def plus(name):
        return Inline(lambda x, by: x + by, lambda y, by: y - by, lambda x, by: 0.0, name=name)

    chain = Chain([JointMap([plus("a"), plus("b")], name="last"), JointMap([plus("c"), Scale(2.0)], name="first")])
    x = [of(backend, 1.0), of(backend, 3.0)]
    for given, expected in (
        ({"by": 1.0}, [3.0, 7.0]),
        ({"last": {"by": 1.0}, "first": {"by": 4.0}}, [6.0, 7.0]),
        ({"last": {"a": {"by": 8.0}, "b": {"by": 1.0}}, "by": 0.0}, [9.0, 7.0]),
    ):
        y = chain.forward(x, **given)
        for seen, wanted in zip(y, expected, strict=True):
            same(backend, seen, wanted)
        same(backend, chain.inverse(y, **given)[0], 1.0)
        same(backend, chain.forward_log_det_jacobian(x, **given), np.float32(np.log(np.float32(2.0))))
    with pytest.raises(TypeError, match=r"must know its conditions. Got condition='buy'"):
        chain.forward(x, buy=1.0)


def test_numbers_in_a_structure_are_what_the_parts_after_need(backend):
    factor = of(backend, 2.0)
    chain = Chain([JointMap([Scale(factor), Exp()]), JointMap([Shift(1.0), Identity()])])
    y = chain.forward([1.0, of(backend, 0.0)])
    same(backend, y[0], 4.0)
    assert [None if each is None else str(each) for each in chain.forward_dtype()] == [str(factor.dtype), None]
    if "float64" not in backend.gaps():
        with pytest.raises(TypeError, match="all parts must have one dtype"):
            Chain([JointMap([Scale(factor)]), JointMap([Scale(of(backend, 2.0, "float64"))])])
        with pytest.raises(TypeError, match="x must have the dtype of the parameters"):
            chain.forward([of(backend, 1.0, "float64"), of(backend, 0.0)])


def test_structures_that_do_not_fit_are_refused(backend):
    pair, x = JointMap([Exp(), Exp()]), of(backend, [1.0, 2.0])
    for others in (
        [Exp(), pair],
        [pair, Exp()],
        [pair, JointMap([Exp()])],
        [JointMap({"a": Exp(), "b": Exp()}), pair],
        [pair, JointMap([Exp(), pair])],
    ):
        with pytest.raises(
            ValueError,
            match=r"what \w+ returns must have the form of what \w+ takes. Got form=.*, given=.*. Use a JointMap",
        ):
            Chain(others)
    chain = Chain([pair, pair])
    for given in (x, [x], {"a": x, "b": x}):
        with pytest.raises(
            ValueError,
            match=r"(?s)x must be a structure of the form of the bijectors. Got form=\[0, 0\], given=.*Give an array",
        ):
            chain.forward(given)
    for ranks in (1, [1], {"a": 1, "b": 1}):
        with pytest.raises(ValueError, match="event_ndims must be a structure of the form"):
            chain.forward_log_det_jacobian([x, x], event_ndims=ranks)
    with pytest.raises(ValueError, match=r"event_ndims must be at least 1. Got event_ndims=0"):
        two_steps().forward_log_det_jacobian([x, of(backend, np.ones(4))], event_ndims=[0, 1])
    with pytest.raises(ValueError, match="must have the rank of an event"):
        two_steps().forward([of(backend, 1.0), of(backend, np.ones(4))])
    one_way = Chain([JointMap([AbsoluteValue(), Exp()]), pair])
    same(backend, one_way.forward([of(backend, 0.0), x])[0], 1.0)
    with pytest.raises(NotImplementedError, match="must be injective to have a forward log-det"):
        one_way.forward_log_det_jacobian([x, x])
    with pytest.raises(NotImplementedError, match="all parts of a chain must be injective for an inverse"):
        one_way.inverse([x, x])
    with pytest.raises(ValueError, match="x must be positive"):
        Chain([JointMap([Log(), Exp()])], validate_args=True).forward([of(backend, -1.0), x])
    with pytest.raises(TypeError, match="bijector must map arrays, and not structures of them"):
        TransformedDistribution(MultivariateNormalDiag([0.0]), chain)
