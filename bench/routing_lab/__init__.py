"""Routing on recorded outcomes: what models that are in the product would have saved, and lost, on real questions."""
