"""How good each of several models is in each domain, with how sure that is: a hierarchical normal model.

A domain's qualities are drawn around those of all domains: all models together are better or worse there (`domain_sd`),
and each one has a bent of its own (`bent_sd`). Scores of one question are correlated over models, as hard questions are
hard for all: so an audit, which asks several models the same question, tells their *difference* better than as many
answers to different questions would. With normal distributions all of this is adding to a small matrix a domain, and
solving it: empirical Bayes as of Efron and Morris (1975), with generalised least squares for the correlated scores.

Scores are 0..1; models are numbered 0, 1, and so on, at most a few dozen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FIRST_MEAN = 0.6
"""Of a model of which nothing is known: the mean of 12 models on MMLU-Pro, GSM8K, MATH and CRUX is .59."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainQualityOptions:
    """What is believed before anything is seen. Standard deviations were measured on pool A2's recorded outcomes."""

    score_sd: float = 0.45
    """Of a single score around its domain's mean; right or wrong has .4 to .5."""
    correlation: float = 0.45
    """Of two models' scores of one question, within a domain: .44 to .49 there."""
    domain_sd: float = 0.15
    """Between domains, of all models together."""
    bent_sd: float = 0.065
    """Between domains, of one model against the others."""
    model_sd: float = 0.1
    """Between models, over all domains."""
    keep: float = 0.999
    """Of everything seen of a domain, at each new look at it: half is forgotten after 700."""
    most_weight: float = 5.0
    """Of a single look."""


@dataclass(slots=True)
class _Domain:
    information: Floats
    """Of the scores seen: one row and one column a model."""
    pull: Floats
    looks: Floats
    """Scores seen, a model; forgotten like the rest."""
    mean: Floats


class DomainQuality:
    """Means and covariances by domain, learned one look at a time."""

    def __init__(self, models: int = 0, options: DomainQualityOptions | None = None) -> None:
        self.options = options or DomainQualityOptions()
        self._overall: Floats = np.full(models, _FIRST_MEAN)
        self._looks: Floats = np.zeros(models)
        self._domains: dict[str, _Domain] = {}
        self._believed: dict[str | None, tuple[Floats, Floats]] = {}
        """Posteriors since the last look, None for all unknown domains: there are many more questions than looks."""

    @property
    def domains(self) -> Sequence[str]:
        """Those of which anything was seen, in the order in which they came."""
        return tuple(self._domains)

    def __contains__(self, domain: str) -> bool:
        """Something was seen of it."""
        return domain in self._domains

    def __len__(self) -> int:
        """Return how many domains were seen."""
        return len(self._domains)

    def looks(self, domain: str) -> Floats:
        """Return how many scores of each model were seen in a domain, less what is forgotten."""
        known = self._domains.get(domain)
        return np.zeros(len(self._looks)) if known is None else known.looks.copy()

    def posterior(self, domain: str) -> tuple[Floats, Floats]:
        """Return what is believed of the models in a domain: means, and covariances (models x models); not to be
        written to."""
        known = self._domains.get(domain)
        key = None if known is None else domain
        believed = self._believed.get(key)
        if believed is None:
            believed = self._believed[key] = self._posterior(known)
        return believed

    def _posterior(self, known: _Domain | None) -> tuple[Floats, Floats]:
        prior = self._prior_precision()
        if known is None:
            means, covariance = self._overall.copy(), np.asarray(np.linalg.inv(prior), np.float64)
        else:
            covariance = np.asarray(np.linalg.inv(prior + known.information), np.float64)
            means = covariance @ (prior @ self._overall + known.pull)
        means.flags.writeable = covariance.flags.writeable = False
        return means, covariance

    def learn(self, domain: str, models: Sequence[int], scores: Sequence[float], weight: float = 1.0) -> None:
        """Take one look: the scores (0..1) of different models for one question of a domain.

        `weight`: inverse propensity, or less than 1 for a score that is only a guess; at most `most_weight`.
        """
        options, many = self.options, len(models)
        known = self._domains.get(domain)
        if known is None:
            size = len(self._overall)
            known = _Domain(np.zeros((size, size)), np.zeros(size), np.zeros(size), self._overall.copy())
            self._domains[domain] = known
        known.information *= options.keep
        known.pull *= options.keep
        known.looks *= options.keep
        shared = options.correlation / (1.0 + (many - 1) * options.correlation)
        precision = (np.eye(many) - shared) / (1.0 - options.correlation) if many > 1 else np.eye(1)
        precision *= min(weight, options.most_weight) / options.score_sd**2
        at = np.asarray(models, np.intp)
        known.information[np.ix_(at, at)] += precision
        known.pull[at] += precision @ np.asarray(scores, np.float64)
        known.looks[at] += 1.0
        self._looks[at] += 1.0
        self._settle(known)

    def _settle(self, known: _Domain) -> None:
        """Move what is believed of all domains half-way to the mean of what is believed of each."""
        known.mean = self._posterior(known)[0]
        centre = np.mean([each.mean for each in self._domains.values()], axis=0)
        share = 0.5 if len(self._domains) > 1 else 0.05
        self._overall += share * (centre - self._overall)
        self._believed.clear()

    def _prior_precision(self) -> Floats:
        options = self.options
        own = options.bent_sd**2 + 1.0 / (1.0 / options.model_sd**2 + self._looks / options.score_sd**2)
        # inverse of diag(own) + domain_sd**2, by Sherman and Morrison
        rates = 1.0 / own
        scale = options.domain_sd**2 / (1.0 + options.domain_sd**2 * rates.sum())
        return np.asarray(np.diag(rates) - scale * np.outer(rates, rates))

    def add_model(self) -> None:
        """Let one more model come, as the last one: it is believed to be like the mean of the others."""
        self._believed.clear()
        self._overall = np.append(self._overall, self._overall.mean() if len(self._overall) else _FIRST_MEAN)
        self._looks = np.append(self._looks, 0.0)
        for each in self._domains.values():
            each.information = np.pad(each.information, (0, 1))
            each.pull, each.looks = np.append(each.pull, 0.0), np.append(each.looks, 0.0)
            each.mean = np.append(each.mean, self._overall[-1])

    def remove_model(self, model: int) -> None:
        """Let a model go; those after it move up by one. What its scores told of the others' questions goes too."""
        self._believed.clear()
        self._overall, self._looks = np.delete(self._overall, model), np.delete(self._looks, model)
        for each in self._domains.values():
            known = each.information[model, model]
            if known > 0.0:  # of a joint distribution to the one without it: Schur's complement
                share = each.information[:, model] / known
                each.information = each.information - np.outer(share, each.information[model])
                each.pull = each.pull - share * each.pull[model]
            each.information = np.delete(np.delete(each.information, model, 0), model, 1)
            each.pull, each.looks = np.delete(each.pull, model), np.delete(each.looks, model)
            each.mean = np.delete(each.mean, model)

    def forget_domain(self, domain: str) -> None:
        """Forget everything seen of a domain."""
        self._believed.clear()
        self._domains.pop(domain, None)

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return what `restore` takes, as arrays that can be saved."""
        size, every = len(self._overall), list(self._domains.values())
        return {
            "overall": self._overall.copy(),
            "looks": self._looks.copy(),
            "domains": np.array(list(self._domains), np.str_),
            "information": np.array([each.information for each in every]).reshape(len(every), size, size),
            "rows": np.array([[each.pull, each.looks, each.mean] for each in every]).reshape(len(every), 3, size),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take a saved state over. ValueError: its parts do not fit each other."""
        size, domains = len(state["overall"]), [str(each) for each in state["domains"]]
        if state["information"].shape != (len(domains), size, size) or state["rows"].shape != (len(domains), 3, size):
            msg = f"saved qualities have the shape {state['information'].shape}; {len(domains)} domains, {size} models"
            raise ValueError(msg)
        self._believed.clear()
        self._overall, self._looks = np.array(state["overall"], float), np.array(state["looks"], float)
        self._domains = {
            domain: _Domain(np.array(information, float), *[np.array(each, float) for each in rows])
            for domain, information, rows in zip(domains, state["information"], state["rows"], strict=True)
        }
