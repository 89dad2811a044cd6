"""What the benchmarks share: a mock provider, a load client, the processes around a sidecar, the run's facts."""
