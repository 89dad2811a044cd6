"""What learning from nothing reaches, by what is known of outcomes: `online` and `auctioned`, over ten orders."""

from typing import Any

import numpy as np

from routing_lab.auctioned import AUCTIONS, analyses, serve_auctions
from routing_lab.data import DataMissingError, Source, rows
from routing_lab.online import MODES, POOL, SEEDS, facts_of, line_of, serve, stream_of


def measure(source: Source, split: str, *, is_fast: bool = False) -> list[dict[str, Any]]:
    """Return one line a mode. `validation`: all of `train`, as nothing was fitted before. DataMissingError: the split
    has no requests that all upstreams were asked."""
    spec = source.pools[POOL]
    folder = source.folder("train" if split == "validation" else split)
    found = [row for row in rows(folder, spec["datasets"]) if row.is_complete(spec["tiers"])]
    if not found:
        msg = f"no requests in {split!r} that all of {', '.join(spec['tiers'])} were asked: nothing is measured"
        raise DataMissingError(msg)
    stream = stream_of(found, spec["tiers"])
    read = analyses(stream)
    seeds = range(2 if is_fast else SEEDS)
    results = {mode.name: [facts_of(stream, serve(stream, mode, seed)) for seed in seeds] for mode in MODES}
    results |= {
        mode.name: [facts_of(stream, serve_auctions(stream, read, mode, seed)) for seed in seeds] for mode in AUCTIONS
    }
    full = np.mean([each["gain"] for each in results[MODES[0].name]])
    return [
        {
            "pool": "online",
            "split": split,
            "stream": POOL,
            "policy": name,
            "n": len(found),
            **line_of(facts, float(full)),
        }
        for name, facts in results.items()
    ]
