"""The diffusion engine: from a text and a request to verified, minimal edits."""
