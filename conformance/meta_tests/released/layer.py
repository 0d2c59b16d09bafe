"""What is asked of a released layer, and how its departures from the convention are declared."""

import os
import warnings
from importlib import import_module, metadata
from typing import NamedTuple

import numpy as np
import pytest

REQUIRED = os.environ.get("BNSPEC_PEERS") == "required"
"""Whether every library that is asked for must be here, as in the session `conventions`."""


def module(name):
    """Import a library; where it is missing, skip what uses it, unless it is required."""
    if REQUIRED:
        with warnings.catch_warnings():  # as importorskip does
            warnings.simplefilter("ignore")
            return import_module(name)
    return pytest.importorskip(name, reason=f"{name} is not installed: nox -s conventions")


def version(distribution):
    return f"{distribution} {metadata.version(distribution).partition('+')[0]}"


class Departure(NamedTuple):
    """Something that a release does, and its convention does not say: a defect, or a limit of the release."""

    text: str
    instead: object  # maps what is predicted to what is seen instead


class Layer:
    """A layer of a release. Arrays are NumPy's, with the channel at the convention's axis."""

    convention = None
    library = ""
    dtype = "float64"
    ranks = (2, 4)
    # Defaults that the convention chooses because the library has none.
    chosen = frozenset()
    departures = {}  # noqa: RUF012 - never changed
    count = None
    has_replicas = False

    def __init__(self, shape, gamma, beta, momentum, epsilon, dtype, **options):
        raise NotImplementedError

    def train(self, x, weights=None):
        """Return the output of a training step that updates the state."""
        raise NotImplementedError

    def evaluate(self, x):
        """Return the output of evaluation, the state being as it is."""
        raise NotImplementedError

    def state(self):
        """Return the averages with which it evaluates."""
        raise NotImplementedError

    def train_replicas(self, shards, weights):
        """Return the outputs of a training step on several replicas."""
        raise NotImplementedError

    def freeze(self):
        """Do what the library has for `trainable = False`."""
        raise NotImplementedError

    def trainable(self):
        """Count the parameters that are trained."""
        raise NotImplementedError

    @staticmethod
    def defaults():
        """Return axis, momentum and epsilon as the release has them, without those that are chosen."""
        raise NotImplementedError

    @staticmethod
    def half(x):
        """Train the default layer on a batch in float16; return the dtypes of output and state."""
        raise NotImplementedError


def lost(*names):
    """Turn predicted quantities into NaN."""

    def instead(predicted):
        return {
            name: quantity._replace(value=np.full_like(quantity.value, np.nan)) if name in names else quantity
            for name, quantity in predicted.items()
        }

    return instead


def refused(error):
    """Let an error take the place of all that is predicted."""
    return lambda predicted: {"raises": error}


def replaced(**values):
    """Replace predicted quantities that are no arrays."""
    return lambda predicted: predicted | values


POISONED = Departure("an empty batch writes NaN into the state", lost("mean", "variance"))
