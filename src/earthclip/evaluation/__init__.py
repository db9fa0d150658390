"""Measuring models: reports on the field's benchmarks, from a table of predictions or by locating the pictures."""
