"""Pure values and functions: no clock, no disk, no network."""
