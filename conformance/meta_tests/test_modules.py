"""Modules: where variables are found, and what a pure call may change."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from bnspec.bijectors import BatchNormalization, Bijector, Chain, RealNVP, Scale, real_nvp_default_template
from bnspec.variables import Module, Variable
from bnspec.variables import scope as scoped


def variable(name, value=1.0, trainable=True):
    return Variable(name, np.asarray([value]), trainable=trainable)


class Conditioner:
    """A function with an attribute."""

    def __init__(self):
        self.factor = variable("factor")

    def __call__(self, x0, output_units):
        return x0 * self.factor.value, None

    def method(self, x0, output_units):
        return self(x0, output_units)


class Held(Module):
    """A module that holds one thing."""

    def __init__(self, held):
        self.held = held


@dataclass
class Record:
    """A dataclass with a variable."""

    weight: Variable


def names(module):
    return [found.name for found in module.variables]


def test_variables_are_found_wherever_functions_and_containers_hold_them():
    one, conditioner = variable("one"), Conditioner()

    def closure(x):
        return x * one.value

    for held, found in (
        (one, ["one"]),
        ([{"a": (one,)}, {one}], ["one"]),
        (closure, ["one"]),
        (lambda x, y=one: x * y.value, ["one"]),
        (partial(np.multiply, one), ["one"]),
        (partial(np.multiply, x=[one]), ["one"]),
        (conditioner, ["factor"]),
        (conditioner.method, ["factor"]),
        (Record(one), ["one"]),
        (Held(Held(one)), ["one"]),
        (Scale(one), ["one"]),
        (np.ones(2), []),
        (Conditioner, []),
    ):
        assert names(Held(held)) == found, held


def test_a_variable_that_is_not_trainable_is_among_the_others():
    module = Held([variable("one"), variable("two", trainable=False)])
    assert [found.name for found in module.trainable_variables] == ["one"]
    assert [found.name for found in module.non_trainable_variables] == ["two"]


def test_modules_may_hold_each_other():
    class Flow(Module):
        def __init__(self):
            self.weight = variable("weight", 2.0)
            self.coupling = RealNVP(num_masked=1, shift_and_log_scale_fn=self.network)
            self.itself = self

        def network(self, x0, output_units):
            return x0 * self.weight.value, None

    flow = Flow()
    assert names(flow) == names(flow.coupling) == ["weight"]
    assert flow.built
    assert (flow.coupling.forward(np.ones((1, 2))) == [[1.0, 3.0]]).all()
    one, other = Held(variable("one")), Held(None)
    one.other, other.held = other, one
    assert names(one) == names(other) == ["one"]


def test_a_pure_call_may_lie_in_another():
    inner = Scale(variable("inner"))

    class Outer(Bijector):
        def __init__(self):
            self.inner, self.own = inner, variable("own")
            super().__init__(forward_min_event_ndims=0)

        def _forward_and_log_det(self, x):
            y, _ = self.inner.stateless_call([np.asarray([2.0])], [], x)
            return y * self.own.value + self.inner.forward(x), None

    outer = Outer()
    assert names(outer) == ["inner", "own"]
    y, _ = outer.stateless_call([np.asarray([5.0]), np.asarray([7.0])], [], np.ones(1))
    assert y.tolist() == [2.0 * 7.0 + 5.0]
    assert outer.forward(np.ones(1)).tolist() == [2.0 + 1.0]


def test_a_pure_call_changes_nothing_but_what_it_was_given():
    stranger = variable("stranger")
    module = Held(variable("one"))
    module.call = None
    call = {"stranger": stranger}  # a global of the function: nothing of the module's

    def change(x):
        stranger.assign(x)

    with pytest.raises(ValueError, match=r"must change no variables but those of the module\. Got variable='stranger'"):
        module.stateless_call([np.ones(1)], [], np.zeros(1), method=change)
    assert call["stranger"].value.tolist() == [1.0]
    with pytest.raises(TypeError, match=r"a generator runs when the values are gone"):
        module.stateless_call([np.ones(1)], [], method=lambda: (part for part in module.variables))
    _, after = Held(variable("kept", trainable=False)).stateless_call([], (np.ones(1),), method=lambda: None)
    assert isinstance(after, tuple)


def test_what_is_assigned_in_a_scope_is_gone_after_it_and_after_an_error():
    one = variable("one")

    def fail():
        with scoped({one: np.asarray([5.0])}):
            one.assign(np.asarray([6.0]))
            assert one.value.tolist() == [6.0]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert one.value.tolist() == [1.0]


def test_a_call_that_raises_moves_no_average():
    normalization = BatchNormalization()
    network = real_nvp_default_template([3])
    chain = Chain([normalization, RealNVP(num_masked=2, shift_and_log_scale_fn=network)])
    x = np.random.default_rng(0).normal(3.0, 2.0, (5, 2))
    normalization.inverse(x)
    before = normalization.get_weights()
    for call in (chain.inverse, chain.inverse_and_log_det):
        with pytest.raises(ValueError, match="num_masked must leave a unit"):
            call(x)
        assert all((old == new).all() for old, new in zip(before, normalization.get_weights(), strict=True))


def test_a_bijector_that_does_not_give_its_parameters_on_equals_itself_alone():
    class Twice(Bijector):
        def __init__(self, factor=2.0):
            self.factor = factor
            super().__init__(forward_min_event_ndims=0)

        def _forward_and_log_det(self, x):
            return x * self.factor, None

    one = Twice()
    assert one == one
    assert one != Twice()
    assert len({one, Twice()}) == 2
    assert one.parameters is None
    with pytest.raises(TypeError, match=r"twice must know its parameters\. Give them to the constructor of the base"):
        one.copy()


def test_conditions_lie_under_the_name_of_their_part_alone():
    x, seen = np.random.default_rng(0).normal(3.0, 2.0, (5, 2)), []

    def fn(x0, output_units, **condition):
        seen.append(condition)
        return None, None

    chain = Chain([BatchNormalization(), RealNVP(1, shift_and_log_scale_fn=fn)])
    chain.inverse(x, batch_normalization={"training": False}, level=1)
    assert seen == [{"level": 1}]
    with pytest.raises(TypeError, match=r"under the name of batch_normalization must be a mapping.*They are: training"):
        Chain([BatchNormalization()]).inverse(x, batch_normalization=False)


def test_a_list_that_changes_later_changes_no_parameter():
    given = [1.0, 2.0]
    scale = Scale(given)
    given.append(3.0)
    assert scale.forward([1.0, 1.0]).tolist() == [1.0, 2.0]
    assert scale.parameters["scale"] == (1.0, 2.0)
