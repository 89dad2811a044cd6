"""From a TOML file, the environment and flags to a tree of Options; every mistake is reported with its line."""
