"""Gemini's own API, as providers speak it: `POST {base}/models/{model}:generateContent`, and `:streamGenerateContent`.

Clients speak OpenAI's chat format; here it is written as Gemini's, and what comes back is written as OpenAI's again.

Sources: https://ai.google.dev/api/generate-content, https://ai.google.dev/gemini-api/docs/openai (how Google itself
writes one as the other), https://ai.google.dev/gemini-api/docs/thought-signatures, and recorded exchanges.
"""
