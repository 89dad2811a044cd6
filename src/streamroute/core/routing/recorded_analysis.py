"""The analysis of a request whose text is gone: made of the features that were kept of it."""

from dataclasses import dataclass, replace
from typing import Any

from streamroute.core.request import ChatRequest
from streamroute.core.routing.analysis import CHARS_PER_TOKEN, Analysis, Features, Words
from streamroute.core.routing.question import OutputFormat, Question


@dataclass(slots=True, kw_only=True)
class RecordedAnalysis(Analysis):
    """An analysis that has its features from elsewhere."""

    kept: Features

    @property
    def features(self) -> Features:
        """What was kept."""
        return self.kept

    def feature(self, name: str) -> Any:
        """Return one of them."""
        return getattr(self.kept, name)


def recorded_analysis(request: ChatRequest, kept: Features | None, domain: str | None) -> Analysis:
    """Return it; `kept` is None where nobody had analysed the request, and then little is known. `domain` is what was
    said, None: nothing was."""
    features = _sizes(request) if kept is None else kept
    if domain is not None:
        features = replace(features, domain=domain, domain_source="stated", domain_confidence=1.0)
    return RecordedAnalysis(
        question=Question(
            text="",
            chars=features.tokens * CHARS_PER_TOKEN,
            messages=features.messages,
            turns=features.turns,
            images=features.images,
            audio=features.audio,
            files=features.files,
            tools=features.tools,
            tool_results=features.tool_results,
            output_format=features.format,
        ),
        words=Words(""),
        tokens=features.tokens,
        modalities=features.modalities,
        domain=features.domain,
        domain_source=features.domain_source,
        domain_confidence=features.domain_confidence,
        kept=features,
    )


_SHARES = (
    "steps", "constraints", "comparison", "open", "closed", "choices", "code", "math", "science", "law", "medicine",
    "money", "digits", "complexity", "domain_confidence",
)  # fmt: skip


def _sizes(request: ChatRequest) -> Features:
    """Return what the sizes of a request tell."""
    form: OutputFormat = "json_schema" if request.uses_json_schema else "json" if request.wants_json else "text"
    shares = dict.fromkeys(_SHARES, 0.0)
    return Features(
        tokens=request.prompt_tokens,
        messages=1,
        turns=1,
        images=request.images,
        audio=0,
        files=0,
        tools=int(request.uses_tools),
        tool_results=0,
        tables=0,
        format=form,
        language="",
        modalities=("text", "image") if request.images else ("text",),
        domain=None,
        domain_source="none",
        **shares,
    )
