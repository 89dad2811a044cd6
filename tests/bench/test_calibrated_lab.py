"""The measurement of calibration, on probabilities that are made here."""

import numpy as np
from routing_lab.calibrated import Judged, line


def judged(many: int, seed: int, *, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds that are `factor` times what they should be, and outcomes."""
    rng = np.random.default_rng(seed)
    log_odds = rng.normal(0.5, 1.0, many)
    return factor * log_odds, (rng.random(many) < 1 / (1 + np.exp(-log_odds))).astype(float)


def test_who_is_too_sure_has_an_error_that_calibration_takes_away() -> None:
    """Fitted on other rows, or one by one; what is left is about what chance alone would show."""
    found = line([Judged("too sure", judged(4_000, 1, factor=3.0), judged(4_000, 2, factor=3.0))])
    assert (found["policy"], found["n"]) == ("too sure", 4_000)
    assert found["calibration_error_raw"] > 0.1
    assert found["calibration_error"] < 0.035
    assert found["calibration_error_online"] < 0.035
    assert 0.005 < found["calibration_error_by_chance"] < 0.03


def test_parts_are_calibrated_apart_and_counted_together() -> None:
    """As when every fifth is asked about by what was fitted on the rest."""
    parts = [Judged("half", judged(500, seed, factor=1.0), judged(300, seed + 10, factor=1.0)) for seed in (1, 2)]
    assert line(parts)["n"] == 600
