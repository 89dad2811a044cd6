"""Providers that misbehave on purpose: scripted, seeded, behind real sockets, in the wire formats of OpenAI,
Anthropic and Gemini.

    Script ──▶ SimulationServer ──▶ Provider ──▶ Fault.play(Exchange) ──▶ bytes, resets, silence
                                                     ▲
    prompt ──▶ text.answer_tokens ──▶ Answer ────────┘        the client checks with text.verify

Every provider gives the same answer to the same prompt, and every token of an answer carries its index, so text
that is lost, repeated or cut is always noticed, whoever served which part of it. Fault injection as a
first-class feature of the product follows Polly (Simmy).
"""
