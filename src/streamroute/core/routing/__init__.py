"""Whom to ask: from a request and what is known, to a decision that can be explained. Pure."""
