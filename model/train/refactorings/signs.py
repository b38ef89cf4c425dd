"""What code must hold for a refactoring to find something in it, as regular expressions.

A checkpoint carries those of its refactorings: an editor offers only what could apply, and regions without a match are
left alone without running the network.
"""

SIGNS = {
    "compare_none": r"[!=]=\s*None|None\s*[!=]=",
    "empty_literals": r"\b(?:dict|list|tuple)\(",
    "plain_super": r"super\(\s*\w[^()]*\)",
    "no_prints": r"print\(",
    "f_strings": r"""\.format\(|["'] %|\.join\(""",
    "docstring_removed": "\"\"\"|'''",
    "in_mapping": r"\.keys\(\)",
    "open_modes": r"open\(",
    "no_object_base": r"\bobject\b",
    "modern_typing": r"Optional|Union|List|Dict|Tuple|Set|Type",
    "early_return": r"\bel(?:se|if)\b",
    "merged_with": r"\bwith\b[^\n]*:\n\s+(?:async )?with",
    "set_literals": r"set\([\[(]",
    "yield_from": r"\byield\b",
    "comprehensions": r"\bfor\b|\bmap\(",
    "range_start": r"range\(\s*0",
    "needless_pass": r"\bpass\b|\.\.\.",
    "compare_bool": r"[!=]= (?:True|False)",
    "membership_test": r"\bnot\b",
    "raise_without_call": r"\braise\b",
    "no_unicode_prefix": r"""\bu["']""",
    "plain_getattr": r"[gs]etattr",
    "hints_removed": r"->|\w: \w",
}
"""Without a match in a region the refactoring finds nothing there; the opposite is not said."""
LOCAL = frozenset(
    {
        "compare_none",
        "empty_literals",
        "in_mapping",
        "membership_test",
        "no_object_base",
        "no_unicode_prefix",
        "plain_getattr",
        "plain_super",
        "raise_without_call",
        "range_start",
        "set_literals",
    }
)
"""Refactorings that change nothing outside the matches of their sign, comparisons apart (`model/editing/scope.py`)."""
