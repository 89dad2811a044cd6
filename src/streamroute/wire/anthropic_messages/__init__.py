"""Anthropic Messages: `POST /v1/messages`, towards providers that speak it.

Source: https://platform.claude.com/docs/en/api/messages, the types of Anthropic's Python SDK (2.14), and recorded
exchanges. What the hub form lacks a place for, and Anthropic's OpenAI-compatible endpoint ignores too
(https://platform.claude.com/docs/en/api/openai-sdk), is said at each place.
"""
