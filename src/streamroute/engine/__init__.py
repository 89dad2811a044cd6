"""The only place where the core and I/O meet: attempts, the runner, the dispatcher."""
