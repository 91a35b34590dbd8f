"""All cases, by name."""

from __future__ import annotations

from tests.performance import classes, cuda, frechet, gate, kernels, neighbourhoods, networks, transports, whole
from tests.performance.case import Case

CASES: dict[str, Case] = {
    case.name: case
    for module in (frechet, classes, neighbourhoods, kernels, transports, networks, whole, gate, cuda)
    for case in module.CASES
}
