"""The demo: a real broker, a real daemon in its own process, and an independent subscriber that shows what arrives."""
