"""What a function takes by name: of a plain one by its code, as compilers know no signature; of others by that."""

import functools

import pytest

from bnspec.bijectors._signatures import names_after

FUNCTIONS = {
    "one": (lambda x: x, set(), set()),
    "two": (lambda x, a: x, {"a"}, set()),
    "defaults": (lambda x, a=1, b=2: x, {"a", "b"}, {"b"}),
    "positional only": (lambda x, a, /, b: x, {"b"}, {"b"}),
    "keyword only": (lambda x, *, a, b=2: x, {"a", "b"}, {"a", "b"}),
    "all places": (lambda *places, a: places, {"a"}, {"a"}),
    "any name": (lambda x, a, **names: x, None, None),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_names_after_one_and_after_two(name):
    function, *wanted = FUNCTIONS[name]
    for count, names in zip((1, 2), wanted, strict=True):
        assert names_after(count, function) == names
        assert names_after(count, functools.wraps(function)(lambda *places, **names: None)) == names


def test_of_a_partial_and_of_a_method():
    assert names_after(1, functools.partial(lambda k, x, a: x, 3)) == {"a"}
    assert names_after(1, "".join) == set()


def test_what_does_not_say_is_an_error():
    with pytest.raises(ValueError, match="no signature"):
        names_after(1, dict)
