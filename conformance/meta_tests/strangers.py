"""Adapters of strangers, good and bad, as a module that a check imports; and how the tests check them."""

from bnspec_conformance.check import Request, check

ADAPTERS = """
import dataclasses
import os
import time

import numpy as np

from bnspec_conformance.mutants import Sound


class Good(Sound):
    pass


class Stubborn(Sound):
    def __init__(self, config):
        super().__init__(config)
        self.convention = Sound.convention


class OnePass(Sound):
    def variance(self, x, mean):
        return self.average(x * x) - mean * mean


class Raises(Sound):
    def read(self):
        raise RuntimeError("no state today")


class Exits(Sound):
    def __call__(self, x, training):
        raise SystemExit(0)


class Dies(Sound):
    def __call__(self, x, training):
        if not training:
            os._exit(7)
        return super().__call__(x, training)


class Hangs(Sound):
    def __call__(self, x, training):
        if not training:
            time.sleep(600)
        return super().__call__(x, training)


class Shapes(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training)[None]


class Dtypes(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training).astype("complex64")


class Views(Sound):
    def __call__(self, x, training):
        x[...] = super().__call__(x, training)
        return x


class Lists(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training).tolist()


class Nans(Sound):
    def __call__(self, x, training):
        return super().__call__(x, training) * float("nan")


class Prints(Sound):
    def __call__(self, x, training):
        print("garbage")
        return super().__call__(x, training)


class Nothing(Sound):
    gaps = {f"rank {rank}": "no" for rank in range(1, 6)} | dict.fromkeys(("float32", "float16", "float64"), "no")


class Slow(Sound):
    def __call__(self, x, training):
        time.sleep(1.2)
        return super().__call__(x, training) + 7


class Once(Sound):
    tried = 0

    def __call__(self, x, training):
        Once.tried += 1
        return super().__call__(x, training) + (Once.tried == 1)


class Flaky(Sound):
    made = 0

    def __init__(self, config):
        super().__init__(config)
        Flaky.made += 1
        self.wrong = Flaky.made % 2

    def __call__(self, x, training):
        return super().__call__(x, training) + self.wrong


class Noisy(Sound):
    random = np.random.default_rng(4)

    def __call__(self, x, training):
        return super().__call__(x, training) + Noisy.random.uniform(1, 2)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Unspeakable(Sound):
    def __call__(self, x, training):
        raise Mute


class Control(Sound):
    def __call__(self, x, training):
        raise OSError("\\x1b[31mred\\x00")


class Positive(Sound):
    def load(self, gamma, *others):
        if gamma is not None and (gamma <= self.epsilon).any():
            raise ValueError("gamma must be larger than epsilon")
        super().load(gamma, *others)


class DeclaredPositive(Positive):
    gaps = {"any gamma": "softplus"}


class WritesItsInput(Sound):
    def __call__(self, x, training):
        x += 0
        return super().__call__(x, training)


class Replaces(Sound):
    def __init__(self, config):
        assert dataclasses.replace(config.convention).name == config.convention.name
        config = dataclasses.replace(config, epsilon=2 * config.epsilon)
        super().__init__(config)
        self.size = config.num_features


class Bare:
    def __init__(self, config):
        self.layer = Sound(config)

    def load(self, *values):
        self.layer.load(*values)

    def __call__(self, x, training):
        return self.layer(x, training)

    def read(self):
        return self.layer.read()


NUMBER = 3
"""


def request(name, convention=None, grade="naive", **options):
    return Request(f"strangers:{name}", convention, grade, **options)


def checked(isolation, name, *select, convention=None, **options):
    return check(request(name, convention), isolation, select=select, **options)
