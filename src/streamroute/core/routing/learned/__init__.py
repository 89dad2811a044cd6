"""Which model is good enough for a request, learned from outcomes."""
