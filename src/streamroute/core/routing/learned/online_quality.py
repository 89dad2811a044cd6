"""How good each upstream's answer to a question would be, learned from outcomes while running.

Two parts. What the domain tells: `core.quality.domain_quality`, which shares what it sees among domains and among
upstreams and says how sure it is; a decision between upstreams rests on it. What the words tell: a logistic model whose
weights add to the log-odds of that, most of them shared by all upstreams (how hard a question is, is learned from
whoever answered it) and some of each upstream's own, held more tightly. Weights have a precision each, the diagonal of
the Hessian (Chapelle and Li, NIPS 2011): it is the step size, and what doubt is made of.

The rules' opinion counts while a domain is new: its log-odds times 30 / (30 + outcomes seen).

From nothing, with 3 % of requests audited, it brings 76 to 81 % of what it would if every outcome were known
(bench/results/routing_learning.json). Question structure beside the words gives nothing there. Not thread-safe.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamroute.core.quality.bucket_table import BucketTable, are_buckets
from streamroute.core.quality.domain_quality import DomainQuality, DomainQualityOptions
from streamroute.core.quality.subject_text import SubjectText

Floats = NDArray[np.float64]

STATE_VERSION = 2
"""Words are hashed otherwise than in version 1."""
_RULES_LOOKS = 30.0
"""Outcomes after which the rules count half."""
_SHARED_PRECISION = 1.0
_OWN_PRECISION = 30.0
"""Of weights before they are learned; 10 costs 5 % of the gain of full information, 100 and 30 are alike (pool A2)."""
_LEAST_CURVATURE = 0.02
_MOST_SURE = 0.02
"""Means of a domain are held this far from 0 and 1, where log-odds have no end."""
_NOWHERE = ""
_MOST_BASES = 256
"""Domains, for each choice of upstreams that is asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlineQualityOptions:
    """What is kept at most, and what is believed before anything is seen."""

    most_upstreams: int = 32
    """Each takes 1 MB."""
    most_domains: int = 256
    """Those that come later are treated as one: that of unknown questions."""
    domains: DomainQualityOptions = field(default_factory=DomainQualityOptions)


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEstimates:
    """What is believed of several upstreams' answers to one question."""

    upstreams: Sequence[str]
    means: Floats
    """Expected score of the answer, 0..1; one an upstream."""
    sds: Floats
    """Standard deviation of that expectation; not of the score itself, which is mostly 0 or 1."""
    covariance: Floats
    """Of the part that differs between upstreams."""
    looks: Floats
    """Outcomes seen of each in the question's domain, less what is forgotten."""

    def lead_sds(self, one: int) -> Floats:
        """Return the standard deviations of how much each is better than one of them (by its place)."""
        own = self.covariance.diagonal()
        return np.asarray(np.sqrt(np.maximum(0.0, own + own[one] - 2.0 * self.covariance[one])))


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainReport:
    """What is believed of one domain, to be looked at by people."""

    domain: str
    means: Mapping[str, float]
    """By upstream, 0..1."""
    sds: Mapping[str, float]
    looks: Mapping[str, float]


class OnlineQuality:
    """Estimates by upstream; upstreams are added by asking for them or learning of them."""

    def __init__(self, options: OnlineQualityOptions | None = None) -> None:
        self.options = options or OnlineQualityOptions()
        self._clear()

    def _clear(self) -> None:
        self._upstreams: dict[str, int] = {}
        """Places by name."""
        self._domains = DomainQuality(0, self.options.domains)
        self._weights, self._variances = BucketTable(), BucketTable()
        """What all share in the first column; of variances, which are one over precisions, how far they are from the
        first ones, so that unused ones are 0."""
        self._first: Floats = np.full(self._add_column() + 1, 1.0 / _SHARED_PRECISION)
        """Variances before anything was learned, one a column."""
        self._columns: dict[str, int] = {}
        """By name: they stay where they are when another upstream goes."""
        self._bases: dict[tuple[str, Sequence[str]], _Base] = {}
        """Since the last outcome: there are many more questions than outcomes."""
        self.outcomes = 0

    def _add_column(self) -> int:
        self._variances.add()
        return self._weights.add()

    @property
    def upstreams(self) -> Sequence[str]:
        """Those that are known."""
        return tuple(self._upstreams)

    def estimates(
        self,
        question: SubjectText,
        domain: str,
        upstreams: Sequence[str],
        rule_priors: Sequence[float] | None = None,
    ) -> QualityEstimates:
        """Return what is believed of each of some upstreams.

        `domain`: "" where nobody knows. `rule_priors`: log-odds, one an upstream, of what rules say against the
        average question; they fade as outcomes come in. ValueError: there are too many upstreams.
        """
        base = self._base(self._known(domain), tuple(upstreams))
        rules = None
        if rule_priors is not None:
            rules = (np.asarray(rule_priors) * _RULES_LOOKS / (_RULES_LOOKS + base.looks)).tolist()
        means, sds = self._believed(question, base, rules)
        return QualityEstimates(
            upstreams=base.upstreams,
            means=np.array(means),
            sds=np.array(sds),
            covariance=base.covariance,
            looks=base.looks,
        )

    def believed(
        self, question: SubjectText, domain: str, upstreams: Sequence[str]
    ) -> tuple[Sequence[float], Sequence[float], Sequence[float]]:
        """Return means and standard deviations of `estimates` alone, in less time; and the standard deviations that
        they have of any question of the domain."""
        base = self._base(self._known(domain), tuple(upstreams))
        return *self._believed(question, base, None), base.sds

    def _believed(
        self, question: SubjectText, base: "_Base", rules: Sequence[float] | None
    ) -> tuple[list[float], list[float]]:
        ids, log_odds = question.words, base.log_odds
        if rules is not None:
            log_odds = [one + other for one, other in zip(log_odds, rules, strict=True)]
        square = 1.0 / max(1, len(ids))  # of the value of each word: the vector has the length 1
        words, doubts, value = self._weights.sums(ids), self._variances.sums(ids), sqrt(square)
        shared, shared_doubt = words[0], doubts[0] + len(ids) / _SHARED_PRECISION
        own_doubt = shared_doubt + len(ids) / _OWN_PRECISION
        means, sds = [], []
        for column, known, variance in zip(base.columns, log_odds, base.variances, strict=True):
            mean = _sigmoid(known + value * (shared + words[column]))
            slope = mean * (1.0 - mean)
            means.append(mean)
            sds.append(sqrt(max(0.0, variance + slope * slope * square * (own_doubt + doubts[column]))))
        return means, sds

    def _base(self, domain: str, upstreams: Sequence[str]) -> "_Base":
        """Return what is believed of some upstreams before a question is looked at."""
        base = self._bases.get((domain, upstreams))
        if base is None:
            at = self._places(upstreams)
            means, covariance = self._domains.posterior(domain)
            covariance = covariance[at][:, at]
            base = _Base(
                upstreams=upstreams,
                columns=[self._columns[each] for each in upstreams],
                log_odds=_log_odds(means[at]).tolist(),
                covariance=covariance,
                variances=covariance.diagonal().tolist(),
                sds=np.sqrt(covariance.diagonal()).tolist(),
                looks=self._domains.looks(domain)[at],
            )
            if len(self._bases) >= _MOST_BASES:
                self._bases.clear()
            self._bases[domain, upstreams] = base
        return base

    def learn(self, question: SubjectText, domain: str, scores: Mapping[str, float], weight: float = 1.0) -> None:
        """Learn what answers to one question were worth: 0..1 by upstream; more than one where it was audited.

        `weight`: inverse of the chance that this outcome was looked at, capped by `most_weight`; below 1 for a score
        that is only a guess. ValueError: a score is not in 0..1, or there are too many upstreams.
        """
        if not scores:
            return
        if not all(0.0 <= score <= 1.0 for score in scores.values()):
            msg = f"scores are 0..1, not {dict(scores)}"
            raise ValueError(msg)
        at = self._places(list(scores))
        self._bases.clear()
        domain = self._known(domain)
        before = _log_odds(self._domains.posterior(domain)[0])
        self._learn_words(question, before[at], scores, min(weight, self.options.domains.most_weight))
        self._domains.learn(domain, at.tolist(), list(scores.values()), weight)
        self.outcomes += len(scores)

    def _learn_words(self, question: SubjectText, before: Floats, scores: Mapping[str, float], weight: float) -> None:
        ids = question.words
        value = 1.0 / max(1, len(ids)) ** 0.5
        weights, variances = self._weights.take(ids), self._variances.take(ids)
        for known, (upstream, score) in zip(before.tolist(), scores.items(), strict=True):
            columns = [0, self._columns[upstream]]
            log_odds = known + value * float(weights[:, columns].sum())
            expected = _sigmoid(log_odds)
            first = self._first[columns]
            sure = 1.0 / (variances[:, columns] + first)  # precisions, of which each look adds some
            sure += weight * max(_LEAST_CURVATURE, expected * (1.0 - expected)) * value**2
            variances[:, columns] = 1.0 / sure - first
            weights[:, columns] += weight * (score - expected) * value / sure
        self._weights.put(ids, weights)
        self._variances.put(ids, variances)

    def reset(self, *, upstream: str | None = None, domain: str | None = None) -> None:
        """Forget an upstream, or a domain; neither: everything."""
        if upstream is None and domain is None:
            self._clear()
        self._bases.clear()
        if domain is not None:
            self._domains.forget_domain(domain)
        if upstream is not None and upstream in self._upstreams:
            place = self._upstreams[upstream]
            self._upstreams = _places(each for each in self._upstreams if each != upstream)
            self._domains.remove_model(place)
            column = self._columns.pop(upstream)
            self._weights.drop(column)
            self._variances.drop(column)

    def explain(self) -> Sequence[DomainReport]:
        """Return what is believed of every domain, those first that were seen first. Words cannot be had back from
        their hashes."""
        return [self._report(domain) for domain in self._domains.domains]

    def _report(self, domain: str) -> DomainReport:
        means, covariance = self._domains.posterior(domain)
        columns = (means, np.sqrt(np.diag(covariance)), self._domains.looks(domain))
        by_name = [dict(zip(self._upstreams, column.tolist(), strict=True)) for column in columns]
        return DomainReport(domain=domain, means=by_name[0], sds=by_name[1], looks=by_name[2])

    def _known(self, domain: str) -> str:
        known = self._domains
        return domain if domain in known or len(known) < self.options.most_domains else _NOWHERE

    def _places(self, upstreams: Sequence[str]) -> NDArray[np.intp]:
        places = self._upstreams
        for upstream in upstreams:
            if upstream not in places:
                self._add(upstream)
        return np.array([places[each] for each in upstreams], np.intp)

    def _add(self, upstream: str) -> None:
        if len(self._upstreams) >= self.options.most_upstreams:
            msg = (
                f"no room for {upstream!r}: {len(self._upstreams)} upstreams are known (reset one, or raise the limit)"
            )
            raise ValueError(msg)
        self._upstreams[upstream] = len(self._upstreams)
        self._domains.add_model()
        self._bases.clear()
        column = self._columns[upstream] = self._add_column()
        if column == len(self._first):
            self._first = np.append(self._first, 1.0 / _OWN_PRECISION)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved: only the buckets that were ever touched."""
        used = self._variances.used([0])
        columns = [0, *[self._columns[each] for each in self._upstreams]]
        return {
            "version": np.array(STATE_VERSION),
            "upstreams": np.array(list(self._upstreams), np.str_),
            "outcomes": np.array(self.outcomes),
            "used": used,
            "weights": self._weights.take(used)[:, columns],
            "variances": self._variances.take(used)[:, columns],
            **{f"domains.{name}": value for name, value in self._domains.state().items()},
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over. ValueError: it is of another version, or does not fit."""
        if int(state["version"]) != STATE_VERSION:
            msg = f"saved qualities are of version {int(state['version'])}; this program reads {STATE_VERSION}"
            raise ValueError(msg)
        upstreams, used = [str(each) for each in state["upstreams"]], state["used"]
        shape = (len(used), len(upstreams) + 1)
        is_torn = state["weights"].shape != shape or state["variances"].shape != shape
        if is_torn or len(state["domains.overall"]) != len(upstreams) or not are_buckets(used):
            msg = f"saved weights have the shape {state['weights'].shape}; {shape} is wanted"
            raise ValueError(msg)
        domains = DomainQuality(0, self.options.domains)
        domains.restore({name[8:]: value for name, value in state.items() if name.startswith("domains.")})
        weights, variances = np.asarray(state["weights"], np.float32), np.asarray(state["variances"], np.float32)
        self._clear()
        for upstream in upstreams:
            self._add(upstream)
        self._domains = domains
        self._weights.put(used, weights)
        self._variances.put(used, variances)
        self.outcomes = int(state["outcomes"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """What is believed of some upstreams' answers to any question of a domain: one a place in `upstreams`."""

    upstreams: Sequence[str]
    columns: Sequence[int]
    log_odds: Sequence[float]
    covariance: Floats
    variances: Sequence[float]
    sds: Sequence[float]
    looks: Floats


def _places(upstreams: Iterable[str]) -> dict[str, int]:
    return {upstream: place for place, upstream in enumerate(upstreams)}


def _log_odds(means: Floats) -> Floats:
    held = np.minimum(np.maximum(means, _MOST_SURE), 1.0 - _MOST_SURE)  # np.clip takes three times as long
    return np.log(held / (1.0 - held))


def _sigmoid(log_odds: float) -> float:
    return 1.0 / (1.0 + exp(-log_odds if log_odds > -30.0 else 30.0))
