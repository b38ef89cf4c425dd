"""Training: corpus, tasks, loop and recipes. Imported by the command line only."""
