"""Do two answers come to the same conclusion?

Agreement of two cheap models is the strongest sign that an answer is right: 85 % of agreed answers are on mixed exam
questions, 95 % on arithmetic and code (bench/results/routing.json). It is worth reading conclusions with care for it:
quotes, units, signs of currency and LaTeX that one model writes and another does not made a fifth of agreements on
code look like disagreements.
"""

import re

_WRAPPED = re.compile(r"\\(?:text|boxed|mathrm|mathbf)\{([^{}]*)\}")
_WRAPPING = re.compile(r"\\(?:left|right|displaystyle|[,;! ])")
_GROUP_OF_ONE = re.compile(r"\{(\w)\}")
r"""x^{2} is x^2; other braces stay, for \frac{1}{23} is not \frac{12}{3}."""
_QUANTITY = re.compile(
    r"(-?)\s*\$?\s*(-?)(\d[\d,]*(?:\.\d+)?|\.\d+)\s*(?:%|\\%|°|[A-Za-z][A-Za-z. /²³^-]*)?\.?", re.ASCII
)
_SPACE = re.compile(r"\s+")
_STATED = (
    re.compile(r"\"answer\"\s*:\s*(\"(?:[^\"\\]|\\.)*\"|[^,}\n]+)"),
    re.compile(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}"),
    re.compile(r"answer\s*(?:is(?:\s*+:)?+|:)\s*+\**\(?([A-J])\b\)?", re.IGNORECASE),
    re.compile(r"answer\s*(?:is(?:\s*+:)?+|:)\s*+\**([^\n]{1,80}?)\**(?:\.?\s*$|\.\s|\n)", re.IGNORECASE),
)
_QUOTES = "\"'`"


def conclusion(text: str) -> str | None:
    """Return what an answer says its answer is; None where it does not say so."""
    for pattern in _STATED:
        found = pattern.findall(text)
        if found:
            return str(found[-1]).strip()
    return None


def normal(said: str) -> str:
    """Return a conclusion without how it is written: quotes, units, currency, LaTeX, blanks. Case is kept."""
    said = said.strip()
    while len(said) > 1 and said[0] == said[-1] and said[0] in _QUOTES:
        said = said[1:-1]
    plain = said.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\$", "$")
    plain = _GROUP_OF_ONE.sub(r"\1", _WRAPPED.sub(r"\1", _WRAPPING.sub("", plain))).strip().strip("$").strip()
    quantity = _QUANTITY.fullmatch(plain)
    if quantity:
        value = float(quantity[3].replace(",", ""))
        return repr(-value if quantity[1] or quantity[2] else value)
    return _SPACE.sub("", plain.rstrip(".").strip(_QUOTES))


def agree(one: str | None, two: str | None) -> bool:
    """Return whether two conclusions are the same; who has none agrees with nobody."""
    return one is not None and two is not None and normal(one) == normal(two)
