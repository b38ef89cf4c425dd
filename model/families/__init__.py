"""Checkpoints that others trained, read natively: configs, safetensors and tokenizers, never code or pickles."""
