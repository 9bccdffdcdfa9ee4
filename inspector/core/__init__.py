"""Pure values and choices: standard library and numpy only; no clock, no file, no network."""
