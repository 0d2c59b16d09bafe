"""Bijectors of the catalogue, one of each kind that compilers trace in its own way, for two sizes of the batch."""

from dataclasses import replace

import numpy as np
import pytest

from bnspec_conformance.bounds import DEFINITION
from bnspec_conformance.checks import Checks
from bnspec_conformance.flows import CATALOGUE
from bnspec_conformance.flows._built import built
from bnspec_conformance.flows._entry import expected
from bnspec_conformance.flows._law import require

KINDS = (
    *("sigmoid between", "permute rows", "reshape", "blocks", "joint map", "inverse of a chain", "inline"),
    *("chain of joint maps", "inverse of a chain of joint maps"),
    *("batch norm of images in training", "real nvp through a bijector", "conditions in a chain", "flow in training"),
    *("masked autoregressive flow", "conditional autoregressive flow"),
    *("inverse of a spline", "real nvp by splines", "image flow"),
)
"""To compile all entries takes minutes: ``nox -s modes`` does."""


def compiler(backend):
    """Return a compiler; of torch's the part that traces, which is what is tried."""
    if backend.framework == "torch":
        import torch  # noqa: PLC0415 - an extra

        torch.compiler.reset()
        return lambda function: torch.compile(function, fullgraph=True, backend="eager")
    return backend.compile


def longer(value):
    """Add a sample."""
    if isinstance(value, tuple):
        return tuple(map(longer, value))
    return None if value is None else np.concatenate([value, value[:1]])


def sizes(entry):
    return entry, replace(entry, x=longer(entry.x), outputs=longer(entry.outputs), context=longer(entry.context))


def sent(backend, value):
    return tuple(sent(backend, each) for each in value) if isinstance(value, tuple) else backend.asarray(value)


def sent_all(backend, entry):
    return {key: backend.asarray(value) for key, value in entry.conditions.items()}


def received(backend, value):
    if isinstance(value, (tuple, list)):
        return tuple(received(backend, each) for each in value)
    return backend.to_numpy(value)


@pytest.mark.parametrize("name", KINDS)
def test_compiled_is_exact(backend, name):
    entry = CATALOGUE[name]
    missing = {"compile", entry.dtype} & set(backend.gaps())
    if missing:
        pytest.skip(f"has no {missing.pop()}")
    subject = built(entry.part, backend.asarray)
    variables = [
        tuple(variable.value for variable in kind)
        for kind in (subject.trainable_variables, subject.non_trainable_variables)
    ]
    ndims = {"forward": entry.event_ndims[0], "inverse": entry.event_ndims[0] + entry.risen}
    ranks = dict.fromkeys(ndims) if entry.structured else ndims

    def everything(variables, x, y, conditions):
        return tuple(
            subject.stateless_call(
                *variables, points, event_ndims=ranks[direction], method=f"{direction}_and_log_det", **conditions
            )[0]
            for direction, points in (("forward", x), ("inverse", y))
        )

    compiled, checks = compiler(backend)(everything), Checks()
    for each in sizes(entry):
        arrays = sent(backend, each.x), sent(backend, each.y), sent_all(backend, each)
        found = received(backend, compiled(variables, *arrays))
        for direction, pair in zip(("forward", "inverse"), found, strict=True):
            value, log_det = expected(each, DEFINITION, direction, ndims[direction])
            require(checks, f"the value of {direction}", pair[0], value, entry.dtype)
            require(checks, f"the log-det of {direction}", pair[1], log_det, entry.dtype)
