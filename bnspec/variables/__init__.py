"""Variables, what holds them, and pure functions of them."""

from bnspec.variables._arguments import (
    as_input,
    as_parameter,
    default_like,
    first_array,
    has_values,
    known_values,
    parameter_shape,
    require_broadcastable,
    require_common_dtype,
    resolved,
)
from bnspec.variables._module import Module, assign_all, transaction
from bnspec.variables._named import Named, common_like, common_needs, require_name, rounded, widened
from bnspec.variables._scope import current, scope
from bnspec.variables._variable import Variable, copied, from_numpy, require_concrete, taken

__all__ = [
    "Module",
    "Named",
    "Variable",
    "as_input",
    "as_parameter",
    "assign_all",
    "common_like",
    "common_needs",
    "copied",
    "current",
    "default_like",
    "first_array",
    "from_numpy",
    "has_values",
    "known_values",
    "parameter_shape",
    "require_broadcastable",
    "require_common_dtype",
    "require_concrete",
    "require_name",
    "resolved",
    "rounded",
    "scope",
    "taken",
    "transaction",
    "widened",
]
