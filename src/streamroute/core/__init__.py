"""What the product decides, without I/O: nouns, health, routing, execution. Imports no clock and no socket."""
