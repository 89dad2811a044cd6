"""Failover under trouble, simulated: providers that fail on a schedule, policies that compete, and what came of it."""
