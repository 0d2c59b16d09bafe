"""Everything that is found beside the convention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._algorithms import accumulation, output, variance
from ._averages import loaded_state
from ._derivatives import first_order, second_order
from ._grades import grades
from ._probe import said
from ._result import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._probe import Probe

__all__ = ["findings_of"]

_LOOKS = (
    ("averages from a loaded state", loaded_state),
    ("variance algorithm", variance),
    ("output in evaluation", output),
    ("accumulation", accumulation),
    ("first-order gradient", first_order),
    ("second-order gradient", second_order),
    ("grade", grades),
)


def findings_of(probe: Probe) -> Iterator[Finding]:
    """Look at everything; what a failure cuts short is not measured because of it."""
    for topic, look in _LOOKS:
        try:
            found = list(look(probe))
        except Exception as error:  # noqa: BLE001 - what a stranger's code raises is what is reported
            yield Finding(topic, "", "not measured", said(error))
        else:
            yield from found
