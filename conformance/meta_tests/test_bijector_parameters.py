"""Parameters: NumPy's scalars are numbers, shapes must broadcast, and hashes tell parameters apart."""

import numpy as np
import pytest

from bnspec.bijectors import Blockwise, Chain, Exp, Inline, Invert, Scale, ScaleMatvecDiag, Shift, Sigmoid, Softplus
from bnspec.distributions import Normal
from bnspec.variables import Variable
from bnspec_conformance.definition import receive

from .bijector_helpers import of, same

# Of kinds of NumPy's scalars that are subclasses of Python's numbers, and of kinds that are not.
SCALARS = [np.float16, np.float32, np.float64, np.longdouble, np.int64, np.uint8]
WITH_TWO = {
    "shift": Shift,
    "scale": Scale,
    "log scale": lambda two: Scale(log_scale=two),
    "diagonal": lambda two: ScaleMatvecDiag([two, two, two]),
    "sigmoid": lambda two: Sigmoid(low=-two if two.__class__ is not np.uint8 else -2.0, high=two),
    "softplus": lambda two: Softplus(two, low=two),
}


@pytest.mark.parametrize("kind", SCALARS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", WITH_TWO)
def test_a_scalar_of_numpy_is_a_number_as_a_parameter(backend, name, kind):
    x = of(backend, [[0.5, -0.25, 3.0]])
    with_scalar, with_number = WITH_TWO[name](kind(2)), WITH_TWO[name](2.0)
    assert with_scalar == with_number
    assert hash(with_scalar) == hash(with_number)
    assert with_scalar.dtype is None
    for method in ("forward", "forward_log_det_jacobian"):
        same(backend, getattr(with_scalar, method)(x), receive(backend, getattr(with_number, method)(x)))


def test_bfloat16_of_numpy_is_a_number_too(backend):
    two = pytest.importorskip("ml_dtypes").bfloat16(2.0)
    same(backend, Scale(two).forward(of(backend, [0.5])), [1.0])


@pytest.mark.parametrize("kind", SCALARS, ids=lambda kind: kind.__name__)
def test_distributions_and_functions_take_scalars_of_numpy_as_numbers(backend, kind):
    x = of(backend, [0.5, 3.0])
    expected = receive(backend, Normal(2.0, 2.0).log_prob(x))
    same(backend, Normal(kind(2), [kind(2), kind(2)]).log_prob(x), expected)
    inline = Inline(lambda x: x + 2.0, inverse_fn=lambda y: y - 2.0, forward_log_det_jacobian_fn=lambda x: kind(0))
    same(backend, inline.forward_log_det_jacobian(x), [0.0, 0.0])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64], ids=lambda kind: kind.__name__)
def test_a_scalar_of_numpy_is_an_array_as_an_input(kind):
    assert Exp().forward(kind(0.0)).dtype == kind
    there = Exp().forward(np.asarray(0.5, dtype=kind))
    assert Exp().inverse(there).dtype == kind
    loc = np.asarray([0.0], dtype=np.float64 if kind is not np.float64 else np.float32)
    with pytest.raises(TypeError, match="x must have the dtype of the parameters"):
        Shift(loc).forward(kind(0.0))


@pytest.mark.parametrize("value", [np.bool_(True), np.complex64(1.0), np.complex128(1.0), np.str_("a")])
def test_other_scalars_of_numpy_are_no_parameters(value):
    with pytest.raises(TypeError, match="shift must be a number, a list of numbers, an array or a Variable"):
        Shift(value)


APART = {
    "low and high": lambda send: Sigmoid(send([0.0, 1.0]), send([2.0, 3.0, 4.0])),
    "low and high ": lambda send: Sigmoid([0.0, 1.0], [2.0, 3.0, 4.0]),
    "hinge_softness and low": lambda send: Softplus(send([1.0, 2.0]), send([[0.0, 1.0, 2.0]])),
    "loc and scale": lambda send: Normal(send([1.0, 2.0]), send([0.5, 1.0, 2.0])),
}


@pytest.mark.parametrize("names", APART)
def test_parameters_that_do_not_broadcast_are_refused(backend, names):
    pattern = rf"{names.strip()} must have shapes that can be broadcast. Got \w+=\(2,\), \w+=\((1, )?3,?\)"
    with pytest.raises(ValueError, match=pattern):
        APART[names](lambda values: of(backend, values))
    assert Softplus([1.0, 2.0], [[0.0], [1.0], [2.0]]).forward(of(backend, [0.5])).shape == (3, 2)


@pytest.mark.parametrize("key", ["forward_fn", "inverse_fn", "forward_log_det_jacobian_fn"])
def test_a_function_that_returns_nothing_is_named(backend, key):
    given = {"forward_fn": lambda x: x, "inverse_fn": lambda y: y, "forward_log_det_jacobian_fn": lambda x: 0.0}
    bijector = Inline(**{**given, key: lambda _: None})
    method = {"forward_log_det_jacobian_fn": "forward_log_det_jacobian"}.get(key, key.removesuffix("_fn"))
    with pytest.raises(TypeError, match=f"{key} must return an array. Got returned=None. Its last line may lack"):
        getattr(bijector, method)(of(backend, [1.0]))


def test_hashes_tell_parameters_apart(backend):
    send, function = (lambda values: of(backend, values)), (lambda x: x)
    variable, other = (Variable("scale", send([2.0]), trainable=True) for _ in range(2))
    makes = {
        "number": lambda: Scale(2.0),
        "another number": lambda: Scale(3.0),
        "logarithm": lambda: Scale(log_scale=2.0),
        "list": lambda: Scale([2.0, 3.0]),
        "array": lambda: Scale(send([2.0])),
        "longer array": lambda: Scale(send([2.0, 3.0])),
        "variable": lambda: Scale(variable),
        "another variable": lambda: Scale(other),
        "checked": lambda: Scale(2.0, validate_args=True),
        "inverse": lambda: Invert(Scale(2.0)),
        "another inverse": lambda: Invert(Scale(3.0)),
        "chain": lambda: Chain([Scale(2.0), Exp()]),
        "another chain": lambda: Chain([Exp(), Scale(2.0)]),
        "blocks": lambda: Blockwise([Exp(), Scale(2.0)], [1, 2]),
        "function": lambda: Inline(function),
    }
    made = {name: make() for name, make in makes.items()}
    assert len({hash(each) for each in made.values()}) == len(makes)
    assert len(set(made.values())) == len(makes)
    for name, make in makes.items():
        assert make() == made[name]
        assert hash(make()) == hash(made[name])
    assert hash(Scale(send([2.0]))) == hash(Scale(send([5.0])))  # values are not looked at: a compiler has none
