"""Edit logic on plain text: lines, syntax, regions, context, edits, verdicts. Knows no tokens, no model."""
