"""What to do next for one request: plans told what happened and when, answering with commands. Pure."""
