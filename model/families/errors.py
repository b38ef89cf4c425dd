"""What is raised where a foreign checkpoint cannot be read."""

from __future__ import annotations

from model.checkpoint import ModelError


class FamilyError(ModelError, ValueError):
    """A foreign checkpoint cannot be read; the message says which file, what is wrong, and what to do."""
