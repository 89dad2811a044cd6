"""Whether an answer is good enough: what can be told from the answer itself."""
