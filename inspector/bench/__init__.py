"""Benches: what a verdict costs on this machine, where the time goes, and how it grows. Nothing here judges a part."""
