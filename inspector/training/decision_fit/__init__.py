"""Fitting a product's temperature and thresholds on judged pictures, with a promise on escapes that a finite sample supports."""
