"""What people see of the running system: logs and metrics, fed from observations."""
