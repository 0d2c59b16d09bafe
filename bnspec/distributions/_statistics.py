"""The statistics of a distribution, and the hooks that compute them."""

from __future__ import annotations

from typing import Any

from bnspec.arrays import accumulation_dtype, common_namespace, device_of
from bnspec.errors import message
from bnspec.variables import Named, common_like, default_like, require_name, rounded, scope

__all__ = ["Statistics"]


class Statistics(Named):
    """What can be said of a distribution without a value: mean, spread, entropy, divergence."""

    def mean(self, name: str = "mean", **kwargs: Any) -> Any:
        """Return the mean.

        Parameters
        ----------
        name : str
            Accepted for TFP's sake.
        **kwargs
            Conditions.

        Returns
        -------
        array, shape (*batch, *event)
            Of the library and dtype of the parameters, or of the default backend.

        Raises
        ------
        TypeError
            If a condition is unknown.
        NotImplementedError
            If there is no formula.
        """
        return self._statistic("mean", name, kwargs)

    def mode(self, name: str = "mode", **kwargs: Any) -> Any:
        """Return where the density is largest; see :meth:`mean`."""
        return self._statistic("mode", name, kwargs)

    def stddev(self, name: str = "stddev", **kwargs: Any) -> Any:
        """Return the standard deviation of each element; see :meth:`mean`."""
        return self._statistic("stddev", name, kwargs)

    def variance(self, name: str = "variance", **kwargs: Any) -> Any:
        """Return the variance of each element; see :meth:`mean`."""
        return self._statistic("variance", name, kwargs)

    def covariance(self, name: str = "covariance", **kwargs: Any) -> Any:
        """Return the covariance of the elements of a vector; see :meth:`mean`.

        Returns
        -------
        array, shape (*batch, N, N)
        """
        return self._statistic("covariance", name, kwargs)

    def entropy(self, name: str = "entropy", **kwargs: Any) -> Any:
        """Return the differential entropy in nats; see :meth:`mean`.

        Returns
        -------
        array, shape batch
        """
        return self._statistic("entropy", name, kwargs)

    def kl_divergence(self, other: Any, name: str = "kl_divergence") -> Any:
        """Return the mean of log p - log q under p: p is this distribution and q the other.

        Parameters
        ----------
        other : Distribution
            Of the same kind.
        name : str
            Accepted for TFP's sake.

        Returns
        -------
        array, shape of both batches broadcast, in nats

        Raises
        ------
        TypeError
            If it is no distribution, or of another library or dtype.
        ValueError
            If its shapes do not fit.
        NotImplementedError
            If it is of another kind, or there is no formula.
        """
        require_name(name)
        if not isinstance(other, Statistics):
            raise TypeError(message("other must be a distribution", type=type(other).__name__))
        self._require_valid()
        other._require_valid()
        given = common_like({"self": self, "other": other})[0]
        return self._computed(given, lambda like: self._kl_divergence(other, like))

    def _statistic(self, which: str, name: str, kwargs: dict[str, Any]) -> Any:
        require_name(name)
        condition = self._conditions(kwargs)
        self._require_valid()
        return self._computed(self._like(), lambda like: getattr(self, f"_{which}")(like, condition))

    def _computed(self, given: Any, compute: Any) -> Any:
        """Compute in float32 or float64, round, and let no variable change."""
        given = default_like() if given is None else given
        xp = common_namespace(like=given)
        with scope():
            found = compute(xp.zeros((), dtype=accumulation_dtype(xp, given), device=device_of(given)))
        return rounded(found, given.dtype, xp)

    def _require_valid(self) -> None:
        """Check the values of the parameters where that was asked for."""
        if self.validate_args:
            self._validate()

    def _validate(self) -> None:
        """Raise ValueError for values of parameters that have no meaning."""

    def _mean(self, like: Any, condition: dict[str, Any]) -> Any:
        """Compute the mean in the dtype and library of an array; the other statistics likewise."""
        raise self._missing("mean")

    def _mode(self, like: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("mode")

    def _stddev(self, like: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("stddev")

    def _variance(self, like: Any, condition: dict[str, Any]) -> Any:
        deviation = self._stddev(like, condition)
        return deviation * deviation

    def _covariance(self, like: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("covariance")

    def _entropy(self, like: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("entropy", "Estimate it by -log_prob of samples.")

    def _kl_divergence(self, other: Any, like: Any) -> Any:
        raise self._missing("kl_divergence", "Estimate it by the log_probs of samples.")

    def _log_prob(self, x: Any, condition: dict[str, Any]) -> Any:
        """Compute the log-density, in the dtype of the value, which has the full event."""
        raise self._missing("log_prob", "Write _log_prob in the subclass.")

    def _prob(self, x: Any, condition: dict[str, Any]) -> Any:
        return common_namespace(x=x).exp(self._log_prob(x, condition))

    def _cdf(self, x: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("cdf")

    def _log_cdf(self, x: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("log_cdf")

    def _survival_function(self, x: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("survival_function")

    def _log_survival_function(self, x: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("log_survival_function")

    def _quantile(self, p: Any, condition: dict[str, Any]) -> Any:
        raise self._missing("quantile")

    def _inverse_survival_function(self, p: Any, condition: dict[str, Any]) -> Any:
        """Compute what has the probability p of more than it: the quantile of a map that falls.

        A subclass overrides it where it can keep the digits of a small p.
        """
        return self._quantile(1.0 - p, condition)

    def _missing(self, which: str, cure: str = "Estimate it from samples.") -> NotImplementedError:
        return NotImplementedError(message(f"{self.name} must have a formula for {which}", cure))
