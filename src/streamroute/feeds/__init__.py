"""Prices that others keep: a public list, and feeds that change while we run."""
