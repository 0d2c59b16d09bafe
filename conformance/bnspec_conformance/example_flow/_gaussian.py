"""A normal distribution of full covariance: what a flow has to be better than."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bnspec.flows import Levels, LogLikelihood

if TYPE_CHECKING:
    from ._data import Data

__all__ = ["gaussian"]


def gaussian(data: Data, seed: int) -> LogLikelihood:
    """Fit mean and covariance to the training set, after the same logit as a flow has, and evaluate what is held out.

    Parameters
    ----------
    data : Data
        The data set.
    seed : int
        Of the noise on the levels.

    Returns
    -------
    LogLikelihood
        Of the held-out events, the log-det of the logit included.
    """
    training, _, held_out = (data.density(part, seed + number) for number, part in enumerate(data.divided()))
    log_det = np.zeros(len(held_out))
    if data.levels:
        logit = Levels(data.levels)
        training = logit.inverse(training)
        held_out, log_det = logit.inverse_and_log_det(held_out, event_ndims=1)
    mean, covariance = training.mean(axis=0), np.cov(training.T, bias=True)
    centred = held_out - mean
    _, log_volume = np.linalg.slogdet(2.0 * np.pi * covariance)
    distance = (centred * np.linalg.solve(covariance, centred.T).T).sum(axis=1)
    log_prob = -0.5 * (distance + log_volume) + log_det
    count = len(log_prob)
    return LogLikelihood(float(log_prob.mean()), float(log_prob.std(ddof=1) / np.sqrt(count)), count)
