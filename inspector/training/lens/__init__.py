"""Calibrating a camera's lens on pictures of a flat board: find the board, fit, judge the fit, show what it does."""
