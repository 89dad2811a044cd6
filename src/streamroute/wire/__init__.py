"""Bytes <-> core nouns, one folder a wire format. Pure: no I/O, no clock."""
