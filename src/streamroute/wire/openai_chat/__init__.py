"""OpenAI Chat Completions: `POST /v1/chat/completions` and what the compatible world makes of it.

Source: https://github.com/openai/openai-openapi, `openapi.yaml`, and recorded exchanges of a dozen providers.
"""
