"""What a question is like, as facts with names: what rules speak of, what upstreams are matched by, what explains it.

All of it is worked out once a request, from the question and what stands around it, by counting: no model, no
patterns over the text. What it is about is what the client said, else what a classifier says.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Protocol

from streamroute.core.quality.hashed_text import shortened
from streamroute.core.quality.subject_text import SubjectText, read_subject
from streamroute.core.routing.learned.structure import Structure, structure
from streamroute.core.routing.question import OutputFormat, Question

GENERAL = "general"
"""The domain of a question that is known to be of no other."""
DomainSource = Literal["stated", "classified", "none"]
Modality = Literal["text", "image", "audio", "file"]

CHARS_PER_TOKEN = 4
"""Of ASCII text, as OpenAI says of English."""
MESSAGE_TOKENS = 4
"""Around each message (role and separators), as OpenAI's own counting recipe has it."""
IMAGE_TOKENS = 800
"""Of an image: OpenAI's tiles come to 85 + 170 for each of four, Gemini's to 258, Anthropic's to at most 1,600."""


class Words:
    """The text of a question, read when somebody first asks for it: whoever learns goes by the same words."""

    __slots__ = ("_read", "_structure", "_turns", "text")

    def __init__(self, text: str, turns: int = 1) -> None:
        self.text = text
        self._turns = turns
        self._read: SubjectText | None = None
        self._structure: Structure | None = None

    def read(self) -> SubjectText:
        """Return its words."""
        if self._read is None:
            self._read = read_subject(self.text)
        return self._read

    @property
    def structure(self) -> Structure:
        """What it is like."""
        if self._structure is None:
            self._structure = structure(self.text, self._turns)
        return self._structure


class DomainClassifier(Protocol):
    """Says what a question is about."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The names it can give, beside `GENERAL`."""

    def classify(self, words: Words) -> tuple[str, float]:
        """Return a domain and how sure it is of it, 0..1; `GENERAL` where it is none of its own."""


@dataclass(kw_only=True)
class Analysis:
    """What is known of one request before anybody is asked. What only explanations go by is worked out when somebody
    wants it, at the latest when the request is over."""

    question: Question
    words: Words
    tokens: int
    """Of the prompt, an estimate; images are in it."""
    modalities: tuple[Modality, ...]
    domain: str | None
    """None: nobody has said, and nobody was asked."""
    domain_source: DomainSource
    domain_confidence: float

    @cached_property
    def tables(self) -> int:
        """Lines that look like rows of one."""
        return _tables(self.words.text)

    @cached_property
    def language(self) -> str:
        """By its script, or by its commonest words: a code of ISO 639-1; "" where that does not tell."""
        return language(self.words.text)

    def feature(self, name: str) -> Any:
        """Return one of the features, without the others where that does."""
        return getattr(self if name in _AT_HAND else self.features, name)

    def forget_text(self) -> None:
        """Keep what may be kept: the request is over."""
        try:
            _ = self.features
        finally:
            self.question, self.words = replace(self.question, text=""), Words("")

    @cached_property
    def features(self) -> "Features":
        """What may be kept and shown: everything but the text."""
        question, found = self.question, self.words.structure
        return Features(
            tokens=self.tokens,
            messages=question.messages,
            turns=question.turns,
            images=question.images,
            audio=question.audio,
            files=question.files,
            tools=question.tools,
            tool_results=question.tool_results,
            tables=self.tables,
            steps=found.steps,
            constraints=found.constraints,
            comparison=found.comparison,
            open=found.is_open,
            closed=found.is_closed,
            choices=found.choices,
            code=found.code,
            math=found.math,
            science=found.science,
            law=found.law,
            medicine=found.medicine,
            money=found.money,
            digits=found.digits,
            complexity=complexity(found, self.tokens),
            format=question.output_format,
            language=self.language,
            modalities=self.modalities,
            domain=self.domain,
            domain_source=self.domain_source,
            domain_confidence=self.domain_confidence,
        )


@dataclass(slots=True, kw_only=True)  # a frozen one takes twice as long to make
class Features:
    """An analysis without its text. Shares are 0..1. Nobody changes one."""

    tokens: int
    messages: int
    turns: int
    images: int
    audio: int
    files: int
    tools: int
    tool_results: int
    tables: int
    steps: float
    constraints: float
    comparison: float
    open: float
    closed: float
    choices: float
    code: float
    math: float
    science: float
    law: float
    medicine: float
    money: float
    digits: float
    complexity: float
    format: OutputFormat
    language: str
    modalities: tuple[Modality, ...]
    domain: str | None
    domain_source: DomainSource
    domain_confidence: float


class TermDomains:
    """Goes by the density of a field's own terms: knows six domains, and is sure of none."""

    domains = ("code", "finance", "law", "math", "medicine", "science")

    def classify(self, words: Words) -> tuple[str, float]:
        """Return the domain with most terms, where there are two or more, or a fence of code."""
        found = words.structure
        shares = (found.code, found.money, found.law, found.math, found.medicine, found.science)
        most = max(shares)
        if most < LEAST_TERMS:
            return GENERAL, 1.0 - most
        return self.domains[shares.index(most)], most


_AT_HAND = frozenset({"tokens", "tables", "language", "modalities", "domain", "domain_source", "domain_confidence"})
LEAST_TERMS = 0.5
"""Two different terms of a field: one alone stands in every second question."""
TERMS = TermDomains()


def analyse(question: Question, *, domain: str | None = None, classifier: DomainClassifier = TERMS) -> Analysis:
    """Analyse a request; `domain` is what the client, its key or its route said."""
    words = Words(shortened(question.text), max(1, question.turns))
    source: DomainSource = "stated"
    confidence = 1.0
    if domain is None:
        domain, confidence = classifier.classify(words)
        source = "classified"
    modalities: list[Modality] = ["text"]
    if question.images:
        modalities.append("image")
    if question.audio:
        modalities.append("audio")
    if question.files:
        modalities.append("file")
    return Analysis(
        question=question,
        words=words,
        tokens=token_estimate(question),
        modalities=tuple(modalities),
        domain=domain,
        domain_source=source,
        domain_confidence=confidence,
    )


def token_estimate(question: Question) -> int:
    """Return about how many tokens the prompt has."""
    ascii_chars = question.chars - question.wide_chars
    return (
        ascii_chars // CHARS_PER_TOKEN
        + question.wide_chars
        + question.messages * MESSAGE_TOKENS
        + question.images * IMAGE_TOKENS
    )


def complexity(found: Structure, tokens: int) -> float:
    """Return a sum of hand-made signs of a hard question, 0..1: several steps, constraints, comparing, an open end, the
    trades that need exactness, and length. It is a weak sign (an AUROC of .59 on recorded outcomes): for rules where
    nothing was learned yet, never for anything that is learned."""
    exact = max(found.code, found.math, found.science, found.law, found.medicine)
    length = min(1.0, tokens / 2000.0)
    return round(
        0.15 * found.steps
        + 0.2 * found.constraints
        + 0.1 * found.comparison
        + 0.15 * found.is_open
        + 0.25 * exact
        + 0.15 * length,
        4,
    )


def _tables(text: str) -> int:
    """Count lines with two or more column signs; one such line is none."""
    if text.count("|") < 4 and text.count("\t") < 4:
        return 0
    rows = sum(line.count("|") >= 2 or line.count("\t") >= 2 for line in text.splitlines())
    return rows if rows >= 2 else 0


_SCRIPTS: tuple[tuple[int, int, str], ...] = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x04FF, "ru"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x0900, 0x097F, "hi"),
    (0x0E00, 0x0E7F, "th"),
    (0x3040, 0x30FF, "ja"),
    (0x4E00, 0x9FFF, "zh"),
    (0xAC00, 0xD7AF, "ko"),
)
"""First and last character of a script, and the language that most text in it is in."""
_COMMON = {
    "en": frozenset(
        {"the", "of", "and", "to", "in", "is", "that", "for", "with", "how", "on", "it", "not", "or", "by"}
    ),
    "de": frozenset({"der", "die", "das", "und", "ist", "nicht", "mit", "ein", "eine", "wie", "was", "auf", "für"}),
    "fr": frozenset({"le", "la", "les", "et", "est", "des", "une", "que", "pour", "dans", "comment", "quel", "avec"}),
    "es": frozenset({"el", "los", "las", "y", "es", "una", "que", "para", "con", "por", "cómo", "qué", "del", "como"}),
    "it": frozenset({"il", "gli", "e", "è", "una", "che", "per", "con", "come", "di", "del", "sono", "nella", "quale"}),
    "pt": frozenset({"o", "os", "as", "e", "é", "uma", "que", "para", "com", "por", "como", "do", "da", "não"}),
    "nl": frozenset({"de", "het", "een", "en", "is", "van", "dat", "voor", "met", "niet", "wat", "hoe", "op", "zijn"}),
}
"""Words that every text of some length has."""
_COMMON_WORDS = frozenset().union(*_COMMON.values())
_LANGUAGES_OF = {word: tuple(name for name, words in _COMMON.items() if word in words) for word in _COMMON_WORDS}
LANGUAGES = tuple(sorted({*_COMMON, *(code for _, _, code in _SCRIPTS)}))
_SAMPLE_CHARS = 240
"""Of a text: its language does not change after that, as far as anybody cares."""


def language(text: str) -> str:
    """Return a code of ISO 639-1, or "" where neither script nor common words tell."""
    sample = text[:_SAMPLE_CHARS]
    if not sample.isascii():
        counts: dict[str, int] = {}
        for char in sample:
            code = ord(char)
            if code >= 0x0370:
                for first, last, name in _SCRIPTS:
                    if first <= code <= last:
                        counts[name] = counts.get(name, 0) + 1
                        break
        if sum(counts.values()) * 3 > len(sample):
            return "ja" if "ja" in counts else max(counts, key=lambda name: counts[name])
    hits = dict.fromkeys(_COMMON, 0)
    for word in _COMMON_WORDS.intersection(sample.lower().split()):
        for each in _LANGUAGES_OF[word]:
            hits[each] += 1
    name = max(hits, key=hits.__getitem__)
    return name if hits[name] > 1 else ""
