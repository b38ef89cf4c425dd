"""Evaluation: how good a checkpoint is, on projects it never saw. Imported by the command line only."""
