"""Thousands of malformed inputs at every door of the program: settings, commands, reports, pictures, database files."""
