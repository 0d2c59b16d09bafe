"""Bijectors that are made of others, and of functions."""

from math import log

import numpy as np
import pytest

from bnspec.bijectors import (
    AbsoluteValue,
    Bijector,
    Blockwise,
    Chain,
    Exp,
    Identity,
    Inline,
    Invert,
    JointMap,
    Log,
    Permute,
    Reshape,
    Scale,
    ScaleMatvecDiag,
    Shift,
    Tanh,
)
from bnspec.variables import Variable
from bnspec_conformance.definition import receive

from .bijector_helpers import differentiable, gradient, near, of, same

X = np.asarray([[1.0, 2.0, -3.0], [0.5, 4.0, 8.0]])


def times(by="factor"):
    """A bijector that is conditioned on its factor."""
    if by == "factor":
        return Inline(
            lambda x, factor: x * factor, lambda y, factor: y / factor, lambda x, factor: log(factor), name="times"
        )
    return Inline(lambda x, *, more: x + more, lambda y, *, more: y - more, lambda x: 0.0, name="plus")


def test_a_chain_runs_from_the_right(backend):
    chain = Chain([Scale(2.0), Shift([1.0, -1.0, 0.0]), Permute([2, 0, 1])])
    y, log_det = chain.forward_and_log_det(of(backend, X))
    expected = (X[:, [2, 0, 1]] + [1.0, -1.0, 0.0]) * 2.0
    same(backend, y, expected)
    near(backend, log_det, [3 * log(2.0)] * 2)
    back, log_det = chain.inverse_and_log_det(y)
    same(backend, back, X)
    near(backend, log_det, [-3 * log(2.0)] * 2)
    assert chain.name == "chain_of_scale_of_shift_of_permute"
    assert chain.is_constant_jacobian
    assert [part.name for part in chain.bijectors] == ["scale", "shift", "permute"]


def test_an_empty_chain_is_the_identity(backend):
    for chain in (Chain(), Chain([])):
        y, log_det = chain.forward_and_log_det(of(backend, X), event_ndims=1)
        same(backend, y, X)
        same(backend, log_det, [0.0, 0.0])
        assert chain.name == "identity"


def test_a_chain_finds_the_rank_of_its_events(backend):
    chain = Chain([Reshape([3, 2]), Exp(), ScaleMatvecDiag([1.0, 2.0, 4.0, 1.0, 1.0, 1.0]), Reshape([6], [2, 3])])
    assert (chain.forward_min_event_ndims, chain.inverse_min_event_ndims) == (2, 2)
    chain = Chain([Reshape([2, 3]), Exp()])
    assert (chain.forward_min_event_ndims, chain.inverse_min_event_ndims) == (1, 2)
    assert (chain.forward_event_shape((5, 6)), chain.inverse_event_shape((5, 2, 3))) == ((5, 2, 3), (5, 6))
    assert (chain.forward_event_ndims(2), chain.inverse_event_ndims(3)) == (3, 2)
    x = of(backend, np.zeros((4, 5, 6)))
    assert receive(backend, chain.forward_log_det_jacobian(x)).shape == (4, 5)
    assert receive(backend, chain.forward_log_det_jacobian(x, event_ndims=2)).shape == (4,)
    with pytest.raises(ValueError, match=r"event_ndims must be at least 1. Got event_ndims=0"):
        chain.forward_log_det_jacobian(x, event_ndims=0)
    with pytest.raises(ValueError, match=r"must have the rank of an event. Got shape=\(\), event_ndims=1"):
        chain.forward(of(backend, 1.0))


def test_conditions_reach_the_parts_that_take_them(backend):
    chain = Chain([Invert(times()), Chain([times("more"), Exp()]), times()])
    x = of(backend, [0.0, 0.0])
    same(backend, chain.forward(x, factor=4.0, more=3.0), [1.0, 1.0])
    assert chain.condition_names == {"factor", "more", "times", "plus", "invert_times", chain.bijectors[1].name}
    same(backend, Chain([times("more"), times()]).forward(x, times={"factor": 2.0}, more=1.0), [1.0, 1.0])
    two = Chain([times(), Inline(lambda x, factor: x + factor, name="first")])
    same(backend, two.forward(x, first={"factor": 3.0}, factor=2.0), [6.0, 6.0])
    with pytest.raises(TypeError, match=r"must know its conditions. Got condition='fcator'. Did you mean 'factor'?"):
        chain.forward(x, fcator=4.0)
    with pytest.raises(TypeError, match=r"times must know its conditions. Got condition='more'"):
        two.forward(x, times={"more": 2.0})
    with pytest.raises(TypeError, match=r"exp must know its conditions. Got condition='factor'. Known are: none"):
        Exp().forward(x, factor=1.0)


def test_conditions_reach_blocks_and_structures(backend):
    block = Blockwise([times(), times("more")], [1, 2])
    y, log_det = block.forward_and_log_det(of(backend, X), factor=2.0, more=1.0)
    same(backend, y, X * [2.0, 1.0, 1.0] + [0.0, 1.0, 1.0])
    near(backend, log_det, [log(2.0)] * 2)
    joint = JointMap([times(), times("more")])
    a, b = joint.forward([of(backend, X), of(backend, X)], factor=2.0, more=1.0)
    same(backend, a, X * 2.0)
    same(backend, b, X + 1.0)


def test_what_takes_any_condition_gets_all(backend):
    anything = Inline(lambda x, **given: x + sum(given.values()), name="any")
    assert anything.condition_names is None
    chain = Chain([anything, times()])
    assert chain.condition_names is None
    same(backend, chain.forward(of(backend, [1.0]), factor=2.0, other=3.0), [7.0])


def test_invert_exchanges_everything(backend):
    inverted = Invert(Chain([Reshape([2, 3]), Scale(2.0)], name="parts"))
    assert (inverted.forward_min_event_ndims, inverted.inverse_min_event_ndims) == (2, 1)
    assert (inverted.forward_event_shape((2, 3)), inverted.inverse_event_shape((6,))) == ((6,), (2, 3))
    assert tuple(inverted.forward_event_shape_tensor((2, 3))) == (6,)
    assert inverted.forward_event_ndims(3) == 2
    assert inverted.name == "invert_parts"
    assert inverted.is_constant_jacobian
    y, log_det = inverted.forward_and_log_det(of(backend, 2.0 * X))
    same(backend, y, X.reshape(6))
    near(backend, log_det, -6 * log(2.0))
    assert inverted == Invert(inverted.bijector)
    assert inverted != Invert(inverted)
    same(backend, Invert(inverted).forward(y), 2.0 * X)
    with pytest.raises(TypeError, match="bijector must be bijectors"):
        Invert("exp")


@pytest.mark.parametrize("given", [Exp(), 3, [Exp(), "log"], [JointMap([Exp()])]])
def test_what_is_no_list_of_bijectors_is_refused(given):
    for make in (Blockwise,) if isinstance(given, list) and isinstance(given[0], JointMap) else (Chain, Blockwise):
        with pytest.raises(TypeError, match=r"bijectors must (be (a list of )?bijectors|map arrays)"):
            make(given)


def test_blocks_lie_along_the_last_axis(backend):
    block = Blockwise([Exp(), ScaleMatvecDiag([2.0, 4.0])], block_sizes=[1, 2])
    y, log_det = block.forward_and_log_det(of(backend, X))
    near(backend, y, np.concatenate([np.exp(X[:, :1]), X[:, 1:] * [2.0, 4.0]], axis=1))
    near(backend, log_det, X[:, 0] + log(8.0), size=np.abs(X[:, 0]) + log(8.0))
    near(backend, block.inverse(y), X, size=np.abs(X) + 1.0)
    near(backend, block.inverse_log_det_jacobian(y, event_ndims=2), -1.5 - 2 * log(8.0), size=2 + 2 * log(8.0))
    assert (block.forward_min_event_ndims, block.inverse_min_event_ndims, block.block_sizes) == (1, 1, (1, 2))
    assert block.forward_event_shape((None, None)) == (None, 3)
    assert not block.is_constant_jacobian


def test_blocks_are_single_by_default(backend):
    block = Blockwise([Identity(), Scale(2.0), Shift(1.0)])
    same(backend, block.forward(of(backend, X)), X * [1.0, 2.0, 1.0] + [0.0, 0.0, 1.0])
    same(backend, Blockwise([Exp(), Identity()], [0, 3]).forward(of(backend, X)), X)


def test_blocks_share_the_batch_that_parameters_give_to_one(backend):
    block = Blockwise([Scale([[1.0], [2.0]]), Identity()], [2, 1])
    y, log_det = block.forward_and_log_det(of(backend, [1.0, 3.0, 5.0]))
    same(backend, y, [[1.0, 3.0, 5.0], [2.0, 6.0, 5.0]])
    near(backend, log_det, [0.0, 2 * log(2.0)])


def test_blocks_may_have_another_order_of_sizes_after(backend):
    stretch = Inline(
        lambda x: x[..., ::2],
        forward_event_shape_fn=lambda shape: (*shape[:-1], (shape[-1] + 1) // 2),
        inverse_fn=lambda y: y,
        forward_min_event_ndims=1,
    )
    block = Blockwise([stretch, Identity()], [3, 1])
    same(backend, block.forward(of(backend, [1.0, 2.0, 3.0, 4.0])), [1.0, 3.0, 4.0])
    assert block.forward_event_shape((4,)) == (3,)
    assert block.inverse_event_shape((3,)) == (4,)


def test_bad_blocks_are_refused(backend):
    with pytest.raises(ValueError, match="bijectors must not be empty"):
        Blockwise([])
    for sizes in ([1], [1, 2, 3], [3, -1]):
        with pytest.raises(
            ValueError, match=r"block_sizes must be one size for each of the bijectors. Got block_sizes=\("
        ):
            Blockwise([Exp(), Log()], sizes)
    with pytest.raises(TypeError, match="block_sizes must be a list of integers"):
        Blockwise([Exp()], [1.5])
    for part in (Reshape([1, 1], [1]), Permute([1, 0], axis=-2)):
        with pytest.raises(ValueError, match=r"must map scalars to scalars, or vectors to vectors. Got part="):
            Blockwise([part])
    with pytest.raises(NotImplementedError, match=r"bijectors must be injective. Got part='absolute_value'"):
        Blockwise([AbsoluteValue()])
    with pytest.raises(ValueError, match="must have 3 elements"):
        Blockwise([ScaleMatvecDiag([1.0, 2.0, 3.0])], [2])
    block = Blockwise([Exp(), Log()], [1, 3])
    for call in (block.forward, block.inverse_log_det_jacobian):
        with pytest.raises(
            ValueError, match=r"the last axis must have the 4 elements of the blocks. Got shape=\(2, 3\)"
        ):
            call(of(backend, X))
    with pytest.raises(ValueError, match="x must be positive"):
        Blockwise([Exp(), Log()], validate_args=True).forward(of(backend, [1.0, -1.0]))


def test_parts_hold_their_variables(backend):
    variables = [Variable(name, of(backend, [1.0]), trainable=True) for name in "abcd"]
    scales = [Scale(variable) for variable in variables]
    last = scales[3]
    shared = Inline(lambda x: 2.0 * last.forward(x), last.inverse)
    whole = Chain([Blockwise([scales[0], Invert(scales[1])]), shared, scales[0]])
    assert {variable.name for variable in whole.variables} == {"a", "b", "d"}
    assert [variable.name for variable in JointMap({"x": whole, "y": scales[2]}).trainable_variables][-1] == "c"


def test_inline_has_the_parts_that_it_was_given(backend):
    x = of(backend, [0.5, 2.0])
    xp = backend.namespace()
    both = Inline(xp.exp, xp.log, inverse_log_det_jacobian_fn=lambda y: -xp.log(y))
    near(backend, both.forward(x), np.exp([0.5, 2.0]))
    near(backend, both.forward_log_det_jacobian(x), [0.5, 2.0], size=[2.0, 4.0])
    near(backend, both.inverse_log_det_jacobian(x), -np.log([0.5, 2.0]))
    forward = Inline(forward_fn=lambda x: 2.0 * x, name="double")
    with pytest.raises(NotImplementedError, match=r"double must have the direction inverse. Give it inverse_fn"):
        forward.inverse(x)
    backward = Inline(inverse_fn=lambda y: y / 2.0, forward_log_det_jacobian_fn=lambda x: log(2.0))
    near(backend, backward.inverse_log_det_jacobian(x), [-log(2.0)] * 2)
    with pytest.raises(NotImplementedError, match="inline must have the direction forward"):
        backward.forward_log_det_jacobian(x)
    vector = Inline(lambda x: x, lambda y: y, forward_min_event_ndims=1)
    with pytest.raises(NotImplementedError, match="inline must give a log-det in one direction"):
        vector.forward_log_det_jacobian(x)
    assert forward.copy(name="twice").name == "twice"
    assert forward == forward.copy()


def test_inline_shapes(backend):
    flat = Inline(
        lambda x: backend.namespace().reshape(x, (*x.shape[:-2], -1)),
        lambda y: y,
        lambda x: 0.0,
        forward_event_shape_fn=lambda shape: [*shape[:-2], None if None in shape[-2:] else shape[-2] * shape[-1]],
        forward_min_event_ndims=2,
        inverse_min_event_ndims=1,
        is_constant_jacobian=True,
    )
    same(backend, flat.forward(of(backend, [[X]])), X.reshape(1, 1, 6))
    same(backend, flat.forward_log_det_jacobian(of(backend, [[X]]), event_ndims=3), [0.0])
    assert flat.forward_event_shape((5, 2, 3)) == (5, 6)
    assert flat.forward_event_shape((None, 3)) == (None,)
    assert flat.is_constant_jacobian


def test_bad_functions_are_refused():
    with pytest.raises(TypeError, match="forward_fn or inverse_fn must be given"):
        Inline(forward_log_det_jacobian_fn=lambda x: 0.0)
    with pytest.raises(TypeError, match=r"inverse_fn must be a function. Got inverse_fn=3"):
        Inline(inverse_fn=3)


def test_a_missing_log_det_is_found_by_differentiation(backend):
    cube = Inline(lambda x: x * x * x, name="cube")
    x = of(backend, [[1.0, -2.0], [0.5, 4.0]])
    if "autodiff" in backend.gaps():
        with pytest.raises(NotImplementedError, match="must have automatic differentiation"):
            cube.forward_log_det_jacobian(x)
        return
    expected = np.log(3.0 * np.asarray([[1.0, -2.0], [0.5, 4.0]]) ** 2)
    near(backend, cube.forward_log_det_jacobian(x), expected, size=np.abs(expected) + 1.0)
    near(backend, gradient(backend, cube.forward_log_det_jacobian, x), [[2.0, -1.0], [4.0, 0.5]])
    near(
        backend,
        Chain([cube, Scale(2.0)]).forward_log_det_jacobian(x, event_ndims=2),
        np.sum(np.log(24.0 * np.asarray([1.0, 4.0, 0.25, 16.0]))),
        size=40.0,
    )
    wide = Inline(lambda x: x * x * of(backend, [[1.0], [2.0]]))
    near(backend, wide.forward_log_det_jacobian(of(backend, [1.0, 2.0])), np.log([[2.0, 4.0], [4.0, 8.0]]))


class Cube(Bijector):
    """One direction alone, without a log-det."""

    def __init__(self, name=None):
        super().__init__(forward_min_event_ndims=0, parameters={"name": name}, name=name)

    def _inverse_and_log_det(self, y):
        return y * y * y, None


def test_the_other_direction_is_derived_where_there_is_one(backend):
    differentiable(backend)
    y = of(backend, [1.0, -2.0])
    near(backend, Cube().inverse_log_det_jacobian(y), np.log([3.0, 12.0]))
    near(backend, Invert(Cube()).forward_log_det_jacobian(y, event_ndims=1), np.log(36.0))
    with pytest.raises(NotImplementedError, match=r"cube must have a forward direction. Write _forward_and_log_det"):
        Cube().forward(y)
    unknown = backend.modes().get("tf.function, unknown dimensions")
    if unknown:
        near(backend, unknown(Cube().inverse_log_det_jacobian)(y), np.log([3.0, 12.0]))


def test_a_log_det_of_one_direction_serves_both(backend):
    class Half(Bijector):
        def __init__(self):
            super().__init__(inverse_min_event_ndims=1)

        def _forward_and_log_det(self, x):
            return x / 2.0, None

        def _inverse_and_log_det(self, y):
            return 2.0 * y, backend.asarray(np.asarray(3.5, np.float32))

    same(backend, Half().forward_log_det_jacobian(of(backend, X)), [-3.5, -3.5])
    same(backend, Invert(Tanh()).inverse(of(backend, [0.0])), [0.0])


def test_a_subclass_may_take_any_condition_and_have_one_direction(backend):
    class Any(Bijector):
        def __init__(self):
            super().__init__(forward_min_event_ndims=0)

        def _forward_and_log_det(self, x, **given):
            return x + len(given), None

    assert Any().condition_names is None
    same(backend, Chain([Any(), Scale(2.0)]).forward(of(backend, [1.0]), what=1, ever=2), [4.0])
    with pytest.raises(NotImplementedError, match="any must have an inverse direction"):
        Any().inverse(of(backend, [1.0]))


def test_functions_that_do_not_say_what_they_take_have_no_conditions():
    assert Inline(max).condition_names == frozenset()


def test_parts_can_be_read():
    assert [part.name for part in Blockwise([Exp(), Log()]).bijectors] == ["exp", "log"]
    assert {key: part.name for key, part in JointMap({"a": Exp()}).bijectors.items()} == {"a": "exp"}
