"""How far the models are believed, domain by domain: by what asking the large model too would have brought.

A threshold that was right on yesterday's questions loses up to 14 % of quality on questions of another kind. So some
accepted answers are *audited*: the large model is asked as well, and both are scored. An escalation shows the same for
nothing, where the small answer was scored. What was gained beyond what was predicted is averaged per domain, each look
weighted by one over the chance that it was taken (Horvitz and Thompson, 1952), shrunk towards nothing, forgotten
slowly, and added to the utility of the large model.

A domain is *new* until enough was seen of it: meanwhile what would have been accepted is audited first and the large
model's answer delivered. It is *withdrawn* where accepting loses more than `most_loss` beyond doubt or halfway to it;
audits go on, so it may return.
"""

from dataclasses import dataclass
from enum import Enum


class Trust(Enum):
    """How a domain is served."""

    NEW = "new"
    TRUSTED = "trusted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOptions:
    """How a domain earns its trust, and keeps it."""

    burn_in: int = 40
    """Looks before a new domain is trusted: one standard error of the loss is then .03 to .05."""
    audit_share: float = 0.03
    """Of accepted answers of a trusted domain that is as good as it was."""
    doubt_audit_share: float = 0.15
    """While a domain is withdrawn, or new and just trusted."""
    settled: int = 150
    """Looks after which a domain that was new counts as any other."""
    prior_looks: float = 40.0
    """Looks that a domain's own residual is held against; half the residual of this many is believed."""
    keep: float = 0.999
    """Of every earlier look, at each new one: half is forgotten after 700."""
    most_loss: float = 0.02
    """Quality that accepting may lose, over all requests of a domain."""
    doubts: float = 0.5
    """Standard errors that the loss may be above `most_loss` before a domain is withdrawn."""


@dataclass(slots=True)
class DomainGuard:
    """What is known of one domain."""

    options: GuardOptions
    is_known: bool
    """The models were fitted on it."""
    looks: int = 0
    _weight: float = 0.0
    _residual: float = 0.0
    _requests: float = 0.0
    _loss: float = 0.0
    _loss_square: float = 0.0
    _trust: Trust = Trust.NEW

    def __post_init__(self) -> None:
        if self.is_known:
            self._trust = Trust.TRUSTED

    @property
    def trust(self) -> Trust:
        """How it is served now."""
        return self._trust

    @property
    def audit_share(self) -> float:
        """The chance with which an accepted answer is to be audited."""
        if self._trust is Trust.NEW:
            return 1.0
        is_settled = self.is_known or self.looks >= self.options.settled
        if self._trust is Trust.TRUSTED and is_settled:
            return self.options.audit_share
        return self.options.doubt_audit_share

    @property
    def caution(self) -> float:
        """What is to be added to the utility of the large model."""
        return max(0.0, self._residual / (self._weight + self.options.prior_looks))

    @property
    def loss(self) -> float:
        """Quality that accepting is estimated to lose, over all requests; below 0 where it gains."""
        return self._loss / (self._requests + self.options.prior_looks)

    def escalated(self, residual: float) -> None:
        """An answer was not accepted, and both are scored: `residual` is the gain beyond what was predicted."""
        self._forget()
        self._look(residual, 1.0)
        self._settle()

    def accepted(self, *, share: float, residual: float | None, gain: float | None) -> None:
        """An answer was accepted, or would have been; where it was audited, `gain` is what the large model's answer had
        over it, and `share` the chance that it was."""
        self._forget()
        if residual is not None and gain is not None:
            self._look(residual, 1.0 / share)
            self._loss += gain / share
            self._loss_square += (gain / share) ** 2
        self._settle()

    def _forget(self) -> None:
        keep = self.options.keep
        self._weight *= keep
        self._residual *= keep
        self._requests = self._requests * keep + 1.0
        self._loss *= keep
        self._loss_square *= keep

    def _look(self, residual: float, weight: float) -> None:
        self.looks += 1
        self._weight += weight
        self._residual += weight * residual

    def _settle(self) -> None:
        if self._trust is Trust.NEW and self.looks < self.options.burn_in:
            return
        count = self._requests + self.options.prior_looks
        variance = max(0.0, self._loss_square / count - self.loss**2) / count
        bound = self.options.most_loss + self.options.doubts * variance**0.5
        if self._trust is Trust.WITHDRAWN:
            self._trust = Trust.TRUSTED if self.loss < self.options.most_loss / 2 else Trust.WITHDRAWN
        else:
            self._trust = Trust.WITHDRAWN if self.loss > bound else Trust.TRUSTED
