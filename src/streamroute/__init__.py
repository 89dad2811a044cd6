"""streamroute: a sidecar between an application and its LLM providers."""

__version__ = "0.1.0"
