"""Other engines beside ours: networks of the same shape, timed in one run."""
