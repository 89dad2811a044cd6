"""How far the models are believed, domain by domain: as far as what asking the large model too would have brought.

A threshold that was right on yesterday's questions loses up to 14 % of quality on questions of another kind. So some
accepted answers are *audited*: the large model is asked as well, its answer is delivered, and both are scored. An
escalation shows the same for nothing, where the small answer was scored.

Every such look has a margin, by how much accepting was predicted to be better than asking the large model, and a gain,
what the large answer really had over the small one. From them follows what accepting would lose at any margin that may
be asked for, each look weighted by one over the chance that it was taken (Horvitz and Thompson, 1952) and forgotten
slowly. The guard goes down a fixed list of margins while the loss at each stays within its limit, and asks for the last
one: fixed-sequence testing as in Learn then Test (Angelopoulos et al., 2021, arXiv 2110.01052), where a lucky margin
further down counts for nothing, with standard errors in place of its guarantee.

A domain is *new* until enough was seen of it: meanwhile the large model answers, and the small ones are only looked at.
It is *withdrawn* where no margin is safe, or what is safe is not worth trying; a few looks go on, so it may return.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MARGINS = (
    -1.0, -0.3, -0.2, -0.15, -0.1, -0.07, -0.05, -0.03, -0.015,
    0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.10, 0.13, 0.16, 0.20, 0.25, 0.30, 0.40,
)  # fmt: skip
"""Quality points by which accepting may have to be better than asking the large model; below 0 only for domains that
the models were not fitted on, where the small model may be better than anybody could know."""
_PLAIN = MARGINS.index(0.0)
_MARGINS = np.array(MARGINS)


class Trust(Enum):
    """How a domain is served."""

    NEW = "new"
    TRUSTED = "trusted"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardOptions:
    """How a domain earns its trust, and keeps it."""

    burn_in: int = 100
    """Looks before a new domain is trusted: one standard error of the loss is then .03 to .05. Between 60 and 120 ratio
    and saving of unseen domains are the same within the spread of runs (`bench/routing.py --pool unseen`)."""
    audit_share: float = 0.03
    """Of accepted answers of a domain that the models were fitted on, while nothing speaks against it."""
    doubt_audit_share: float = 0.20
    """Of those of a domain that is not, and of the requests of a withdrawn one."""
    settled_audit_share: float = 0.08
    """Of those of a domain that was new and is trusted after `settled` looks; .05 loses a point more."""
    settled: int = 150
    """Looks after which a domain that was new is looked at less."""
    prior_requests: float = 25.0
    """Requests that a domain's own are held against, so that one unlucky look decides nothing."""
    prior_loss: float = 0.03
    """What those lose, in a new domain: with nothing, law (where the answer shows nothing) loses a point more, with .1
    physics saves nine points less (`bench/routing.py --pool unseen`)."""
    keep: float = 0.999
    """Of every earlier look, at each new request: half is forgotten after 700."""
    most_loss: float = 0.01
    """Quality that accepting may lose, over all requests of a domain."""
    known_doubt: float = -1.0
    """Standard errors that are added to the loss of a domain that the models were fitted on: less than none, for there
    the prices were chosen with care, and only what is beyond doubt may undo that. An audit at 3 % stands for 33
    requests, so that at -.5 a single bad one closes a margin: it costs two points more of saving on a stream of 1,700
    requests and ten on one of 8,700, and keeps two points more of quality once small models grow worse by a third
    (pool A2, docs/concepts/routing.md)."""
    suspicion: float = -0.5
    """The same for looking more often, at `doubt_audit_share`."""
    new_doubt: float = 0.25
    """The same for any other: .75 loses half a point of quality less and saves seven points less."""


@dataclass(slots=True)
class DomainGuard:
    """What is known of one domain."""

    options: GuardOptions
    is_known: bool
    """The models were fitted on it."""
    attempt_cost: float = 0.0
    """Of asking the small model, as a share of what the large one costs: where no more than this share of a new domain
    is accepted, trying saves nothing, and it is withdrawn."""
    looks: int = 0
    _requests: float = 0.0
    _losses: Floats = field(default_factory=lambda: np.zeros(len(MARGINS)))
    _squares: Floats = field(default_factory=lambda: np.zeros(len(MARGINS)))
    _accepted: Floats = field(default_factory=lambda: np.zeros(len(MARGINS)))
    _caution: float = 0.0
    _is_suspect: bool = False

    def __post_init__(self) -> None:
        if not self.is_known:
            self._caution = inf

    @property
    def trust(self) -> Trust:
        """How it is served now."""
        if not self.is_known and self.looks < self.options.burn_in:
            return Trust.NEW
        return Trust.WITHDRAWN if self._caution == inf else Trust.TRUSTED

    @property
    def look_share(self) -> float:
        """The chance with which a request is to be looked at: an accepted answer audited; of a withdrawn domain, a
        small model asked at all."""
        if self.trust is Trust.NEW:
            return 1.0
        if self.is_known and self._caution == 0.0 and not self._is_suspect:
            return self.options.audit_share
        if self._caution < inf and self.looks >= self.options.settled:
            return self.options.settled_audit_share
        return self.options.doubt_audit_share

    @property
    def caution(self) -> float:
        """What is to be added to the utility of asking the large model; infinite where nothing may be accepted."""
        return self._caution

    def loss(self, caution: float = 0.0) -> float:
        """Quality that accepting at one of `MARGINS` is estimated to lose, over all requests; below 0: it gains."""
        return float(self._estimates()[0][MARGINS.index(caution)])

    def looked(self, *, margin: float, gain: float, share: float = 1.0) -> None:
        """A request with a small and a large answer, both scored. `margin`: utility of accepting less that of asking
        the large model, as predicted without caution; `gain`: score of the large answer less that of the small one;
        `share`: the chance with which it was looked at, 1 for an escalation."""
        self._forget()
        self.looks += 1
        accepted = (margin > _MARGINS) / share
        self._accepted += accepted
        self._losses += accepted * gain
        self._squares += (accepted * gain) ** 2
        self._settle()

    def passed(self) -> None:
        """A request that was not looked at."""
        self._forget()

    def state(self) -> list[float]:
        """Return what `restore` takes."""
        sums = np.concatenate([self._losses, self._squares, self._accepted])
        return [float(self.looks), self._requests, *sums.tolist()]

    def restore(self, state: Sequence[float]) -> None:
        """Take a saved state over. ValueError: it has another number of margins."""
        wanted = 2 + 3 * len(MARGINS)
        if len(state) != wanted:
            msg = f"a saved domain has {len(state)} numbers; {wanted} are wanted"
            raise ValueError(msg)
        looks, self._requests, *sums = state
        self.looks = int(looks)
        self._losses, self._squares, self._accepted = np.array(sums).reshape(3, len(MARGINS))
        self._settle()

    def _forget(self) -> None:
        keep = self.options.keep
        self._requests = self._requests * keep + 1.0
        self._accepted *= keep
        self._losses *= keep
        self._squares *= keep

    @property
    def _prior(self) -> float:
        return 0.0 if self.is_known else self.options.prior_requests * self.options.prior_loss

    def _estimates(self) -> tuple[Floats, Floats]:
        """Return the mean loss at each margin, and its standard error."""
        count = self._requests + self.options.prior_requests
        mean = (self._losses + self._prior) / count
        return mean, np.sqrt(np.maximum(0.0, self._squares / count - mean * mean) / count)

    def _settle(self) -> None:
        if self.trust is Trust.NEW:
            return
        mean, error = self._estimates()
        doubt = self.options.known_doubt if self.is_known else self.options.new_doubt
        lowest = _PLAIN if self.is_known else 0
        unsafe = np.flatnonzero((mean + doubt * error > self.options.most_loss)[lowest:])
        suspected = mean[_PLAIN] + self.options.suspicion * error[_PLAIN]
        self._is_suspect = self.is_known and bool(suspected > self.options.most_loss)
        first = lowest + (int(unsafe[-1]) + 1 if len(unsafe) else 0)
        self._caution = MARGINS[first] if first < len(MARGINS) and self._is_worth_it(first) else inf

    def _is_worth_it(self, at: int) -> bool:
        """Return whether what a margin accepts pays for the attempts."""
        if self.is_known or not self.attempt_cost:
            return True
        return bool(self._accepted[at] > self.attempt_cost * self._requests)
