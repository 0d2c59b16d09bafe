"""Variables, what holds them, and pure functions of them."""

from bnspec.variables._module import Module, assign_all
from bnspec.variables._scope import current, scope
from bnspec.variables._variable import Variable, copied, from_numpy, require_concrete, taken

__all__ = [
    "Module",
    "Variable",
    "assign_all",
    "copied",
    "current",
    "from_numpy",
    "require_concrete",
    "scope",
    "taken",
]
