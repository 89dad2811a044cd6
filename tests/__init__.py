"""The tests, laid out like the source they test; `support/` holds what several of them share."""
