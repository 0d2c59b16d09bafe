"""What a convention's record predicts, in plain NumPy and float64, with the bound of a stranger at each number."""

from typing import NamedTuple

import numpy as np

from bnspec_conformance.bounds import (
    FORMATS,
    NAIVE,
    exact_statistics,
    normalized,
    rounded,
    running,
    weighted_statistics,
)


class Quantity(NamedTuple):
    """A value, and how far a sound implementation may be from it."""

    value: np.ndarray
    error: np.ndarray


class Predictor:
    """One layer with the channel last, and its state; nothing of bnspec but the record is used."""

    def __init__(self, convention, dtype, gamma, beta, momentum, epsilon):
        self.convention, self.form = convention, FORMATS[dtype]
        self.gamma, self.beta, self.momentum, self.epsilon = gamma, beta, momentum, epsilon
        zero = np.zeros(len(gamma))
        self.mean = Quantity(zero, zero)
        self.variance = Quantity(np.full(len(gamma), convention.initial_variance), zero)
        self.count = 0

    def state(self):
        return {"mean": self.mean, "variance": self.variance}

    def evaluate(self, x):
        given = exact_statistics(self.mean.value, self.variance.value)
        given = given._replace(mean_error=self.mean.error, variance_error=self.variance.error)
        return self._normalized(x, given)

    def train(self, x, weights=None):
        """Take one batch, elements weighted by frequencies if they are given."""
        rows, weights = _rows(x, weights)
        if not weights.any():
            self.count += self.convention.empty_batch == "count"
            return Quantity(np.empty_like(x), np.empty_like(x))
        given = self._statistics(rows, weights)
        self._enter([(given, weights.sum(axis=0))])
        if self.convention.statistics == "running":
            return self.evaluate(x)
        return self._normalized(x, self._corrected(given, self.convention.normalizing_variance, weights.sum(axis=0)))

    def train_ghosts(self, x, size):
        """Take one batch in ghost batches of `size` samples."""
        groups = np.arange(len(x)) // size
        if self.convention.ghost_grouping == "strided":
            groups = np.arange(len(x)) % (len(x) // size)
        parts, y = [], Quantity(np.empty_like(x), np.empty_like(x))
        for group in range(groups.max() + 1):
            rows, weights = _rows(x[groups == group], None)
            given, total = self._statistics(rows, weights), weights.sum(axis=0)
            parts.append((given, total))
            done = self._normalized(
                x[groups == group], self._corrected(given, self.convention.normalizing_variance, total)
            )
            for whole, part in zip(y, done, strict=True):
                whole[groups == group] = part
        if self.convention.ghost_update == "merged":
            rows, weights = _rows(x, None)
            parts = [(self._statistics(rows, weights), weights.sum(axis=0))]
        for entering in [parts] if self.convention.ghost_update != "each" else [[part] for part in parts]:
            self._enter(entering)
        return y

    def train_replicas(self, shards, weights):
        """Take one batch that lies on replicas, each of which sees its own part."""
        pairs = [_rows(*pair) for pair in zip(shards, weights, strict=True)]
        found = [self._statistics(*pair) for pair in pairs]
        totals = [w.sum(axis=0) for _, w in pairs]
        share = np.asarray(totals) if self.convention.sync == "count" else np.ones((len(pairs), len(self.gamma)))
        share = share / share.sum(axis=0)
        mean = sum(s * given.mean for s, given in zip(share, found, strict=True))
        square = sum(s * (given.variance + given.mean**2) for s, given in zip(share, found, strict=True))
        worst = [max(given[2:4], key=np.max).max() for given in found]
        given = exact_statistics(mean, square - mean**2)
        given = given._replace(mean_error=mean * 0 + max(worst), variance_error=mean * 0 + 2 * max(worst))
        self._enter([(given, sum(totals))])
        return [self._normalized(x, given) for x in shards]

    def _statistics(self, rows, weights):
        total = weights.sum(axis=0)
        mean = (weights * rows).sum(axis=0) / total
        variance = (weights * (rows - mean) ** 2).sum(axis=0) / total
        return weighted_statistics(rows, weights, mean, variance, NAIVE, self.form)

    def _corrected(self, given, estimator, total):
        """Divide the second moment by what the estimator says, as far as that is defined."""
        less = {"population": 0.0, "bessel": 1.0, "bessel_epsilon": 1.0 + self.epsilon}[estimator]
        factor = total / np.where(total > less, total - less, total)
        variance = given.variance * factor
        error = rounded(rounded(given.variance_error * factor, variance, self.form), variance, self.form)
        return given._replace(variance=variance, variance_error=error)

    def _enter(self, parts):
        """Let the mean of the parts' statistics enter the averages, as one batch."""
        corrected = [self._corrected(given, self.convention.running_variance, total) for given, total in parts]
        self.count += 1
        for name in ("mean", "variance"):
            value = np.mean([getattr(part, name) for part in corrected], axis=0)
            error = np.mean([getattr(part, f"{name}_error") for part in corrected], axis=0)
            old, take = getattr(self, name), self._take(name)
            after = old.value + take * (value - old.value)
            bound = running(*old, value, rounded(error, value, self.form), take, self.form)
            # A division by what the weights sum to is two more roundings.
            for _ in range(2):
                bound = rounded(bound, after, self.form)
            setattr(self, name, Quantity(after, bound))

    def _take(self, name):
        """Return the weight of the new batch among all until now."""
        n, average = self.count, self.convention.average
        if self.momentum is None:
            return 1.0 / n
        take = self.momentum if self.convention.momentum_weighs == "new" else 1.0 - self.momentum
        if average == "debiased" or (average == "debiased_mean" and name == "mean"):
            return take / (1.0 - (1.0 - take) ** n)
        return 1.0 if average == "first" and n == 1 else take

    def _normalized(self, x, given):
        rows, _ = _rows(x, None)
        bound = normalized(rows, given, self.epsilon, self.gamma, self.beta, self.form, self.form)
        y = (x - given.mean) / np.sqrt(given.variance + self.epsilon) * self.gamma + self.beta
        return Quantity(y, bound.reshape(x.shape))


def _rows(x, weights):
    """Return data and weights as rows of channels; one weight is for all channels of a sample."""
    rows = x.reshape(-1, x.shape[-1])
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64).reshape(-1)
    return rows, np.broadcast_to(weights[:, None], rows.shape)
