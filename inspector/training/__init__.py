"""Offline work: data, training, export and evaluation. Nothing here is imported by the running daemon."""
