"""HTTP in: what clients of the sidecar talk to."""
