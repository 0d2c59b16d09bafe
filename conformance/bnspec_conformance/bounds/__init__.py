"""The tolerance of every comparison, derived from dtype, length and condition. There is no other tolerance.

Notation: u is the unit roundoff of the dtype that is computed in (float32 for half-precision input), and
g(k) = k u / (1 - k u), the accumulated error of k roundings [1]_. Per channel: N elements x of mean m,
population variance v and mean absolute value a; s = v + epsilon. All functions take and return NumPy float64
arrays; per-element arrays are rows of shape (N, C), per-channel arrays have shape (C,).

.. [1] N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, lemma 3.1.
"""

from __future__ import annotations

from ._algorithms import Algorithm, coarse_share, folded, may_be_negative, share_roundings, through_sums, wide_average
from ._arithmetic import Arithmetic, computed_in
from ._beyond import (
    error_function,
    gaussian_slope,
    inverse_error_function,
    log_gamma,
    normals,
    triangular_residual,
)
from ._densities import (
    normal,
    normal_diag_log_prob,
    normal_entropy,
    normal_quantile,
    normal_score,
    transformed_density,
)
from ._flow_layers import batch_log_det, coupled, coupled_log_det, denormalized, dense_network
from ._flows import bijector, bijector_error
from ._formats import DEFINITION, FORMATS, GRADES, NAIVE, TWO_PASS, Format, Grade, accumulated, accuracy_goal, rounded
from ._forward import normalized, running
from ._functions import function_goal, function_gradient, relative_to_one, second_derivative_goal
from ._gradients import GradientErrors, evaluation_gradients, second_derivative, summed, training_gradients
from ._jacobians import determinant, differentiated
from ._maps import sum_of_kernels
from ._parts import (
    Uncertain,
    averaged,
    correction,
    merged,
    parameter_gradients,
    root,
    squared,
    training_run,
    transformed,
)
from ._relations import apart
from ._slopes import Slope, contracted, elementwise_slope, joined, stepped, tanh_step
from ._splines import spline, spline_parameters
from ._statistics import Statistics, batch_statistics, estimated, exact_statistics, weighted_statistics
from ._variables import adam, empirical, penalty, projection

__all__ = [
    "DEFINITION",
    "FORMATS",
    "GRADES",
    "NAIVE",
    "TWO_PASS",
    "Algorithm",
    "Arithmetic",
    "Format",
    "Grade",
    "GradientErrors",
    "Slope",
    "Statistics",
    "Uncertain",
    "accumulated",
    "accuracy_goal",
    "adam",
    "apart",
    "averaged",
    "batch_log_det",
    "batch_statistics",
    "bijector",
    "bijector_error",
    "coarse_share",
    "computed_in",
    "contracted",
    "correction",
    "coupled",
    "coupled_log_det",
    "denormalized",
    "dense_network",
    "determinant",
    "differentiated",
    "elementwise_slope",
    "empirical",
    "error_function",
    "estimated",
    "evaluation_gradients",
    "exact_statistics",
    "folded",
    "function_goal",
    "function_gradient",
    "gaussian_slope",
    "inverse_error_function",
    "joined",
    "log_gamma",
    "may_be_negative",
    "merged",
    "normal",
    "normal_diag_log_prob",
    "normal_entropy",
    "normal_quantile",
    "normal_score",
    "normalized",
    "normals",
    "parameter_gradients",
    "penalty",
    "projection",
    "relative_to_one",
    "root",
    "rounded",
    "running",
    "second_derivative",
    "second_derivative_goal",
    "share_roundings",
    "spline",
    "spline_parameters",
    "squared",
    "stepped",
    "sum_of_kernels",
    "summed",
    "tanh_step",
    "through_sums",
    "training_gradients",
    "training_run",
    "transformed",
    "transformed_density",
    "triangular_residual",
    "weighted_statistics",
    "wide_average",
]
