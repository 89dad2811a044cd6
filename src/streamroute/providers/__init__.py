"""Whom we call and pay: how to address each provider, and the transport that carries the calls."""
