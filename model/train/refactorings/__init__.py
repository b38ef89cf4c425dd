"""Refactorings with an exact answer: which there are, how a linter and the syntax tree make them."""
