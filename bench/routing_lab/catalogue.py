"""What can be measured, by name: pools of models, and studies that are none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from routing_lab.calibrated import measure as measure_calibration
from routing_lab.call_share import call_share_study
from routing_lab.data import Source
from routing_lab.domains import measure as measure_domains
from routing_lab.from_nothing import measure as measure_online
from routing_lab.pool_study import pool_study
from routing_lab.tickets import ticket_study
from routing_lab.unseen import unseen_study
from routing_lab.walked import walked_study


@dataclass(frozen=True, slots=True)
class Asked:
    """One name of the command line, and where to look."""

    source: Source
    name: str
    split: str
    is_fast: bool = False


def _pool(asked: Asked) -> list[dict[str, Any]]:
    return pool_study(asked.source, asked.name, asked.split, is_fast=asked.is_fast)


def _tickets(asked: Asked) -> list[dict[str, Any]]:
    return ticket_study(asked.source, asked.split, is_fast=asked.is_fast)


def _unseen(asked: Asked) -> list[dict[str, Any]]:
    return unseen_study(asked.source, asked.split, is_fast=asked.is_fast)


def _walked(asked: Asked) -> list[dict[str, Any]]:
    return walked_study(asked.source, asked.split, is_fast=asked.is_fast)


def _call_share(asked: Asked) -> list[dict[str, Any]]:
    return call_share_study(asked.source, asked.split, is_fast=asked.is_fast)


def _domains(asked: Asked) -> list[dict[str, Any]]:
    return measure_domains(asked.source, asked.split, is_fast=asked.is_fast)


def _online(asked: Asked) -> list[dict[str, Any]]:
    return measure_online(asked.source, asked.split, is_fast=asked.is_fast)


def _calibration(asked: Asked) -> list[dict[str, Any]]:
    return measure_calibration(asked.source, asked.split, is_fast=asked.is_fast)


POOLS: dict[str, Callable[[Asked], list[dict[str, Any]]]] = {
    **dict.fromkeys(("A2", "A", "A3", "O", "O1", "B"), _pool),
    "tickets": _tickets,
}
STUDIES: dict[str, Callable[[Asked], list[dict[str, Any]]]] = {
    "unseen": _unseen,
    "walked": _walked,
    "routellm": _call_share,
    "domains": _domains,
    "online": _online,
    "calibration": _calibration,
}


def perform(asked: Asked) -> list[dict[str, Any]]:
    """Return the lines of a pool or study."""
    return (POOLS | STUDIES)[asked.name](asked)
