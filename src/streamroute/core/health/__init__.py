"""What we know of every upstream: how failures count, breakers, the health board. Pure: time comes as `now`."""
