"""Figures of the gate of one route, for metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamroute.core.money import Money
from streamroute.core.routing.learned.gatekeeper import DomainFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFigures:
    """How it stands."""

    route: str
    domains: Sequence[DomainFigures]
    looks: Mapping[int, float]
    """By tier: how many pairs of answers the models of expected gain have learned from, weighted."""
    audits: Mapping[str, int]
    """By what they came to."""
    spent: Money
    """On audits, since the process began."""
