"""What code must hold for a refactoring to find something in it, as regular expressions.

A checkpoint carries those of its refactorings: an editor offers only what could apply, and regions without a match are
left alone without running the network.
"""

SIGNS = {
    "compare_none": r"[!=]=\s*None\b|\bNone\s*[!=]=",
    "empty_literals": r"(?<![\w.])(?:dict|list|tuple)\(\s*\)",
    "plain_super": r"\bsuper\(\s*\w[^()]*\)",
    "no_prints": r"print\(",
    "f_strings": r"""\.format\(|["'] %|\.join\(""",
    "docstring_removed": "\"\"\"|'''",
    "in_mapping": r"\.keys\(\)",
    "open_modes": r"open\(",
    "no_object_base": r"\(\s*object\s*\)|,\s*object\b|\bobject\s*,\s*",
    "modern_typing": r"Optional|Union|List|Dict|Tuple|Set|Type",
    "early_return": r"\bel(?:se|if)\b",
    "merged_with": r"\bwith\b[^\n]*:\n\s+(?:async )?with",
    "set_literals": r"set\([\[(]",
    "yield_from": r"\byield\b",
    "comprehensions": r"\bfor\b|\bmap\(",
    "range_start": r"\brange\(\s*0\s*,\s*(?=[^,()]*(?:\([^()]*\)[^,()]*)*\))",
    "needless_pass": r"\bpass\b|\.\.\.",
    "compare_bool": r"[!=]= (?:True|False)",
    "membership_test": r"\bnot\s+[\w.]+(?:[\[(][^\s()\[\]]*[\])])*\s+(?:in|is)\b",
    "raise_without_call": r"\braise\b",
    "no_unicode_prefix": r"""\bu["']""",
    "plain_getattr": r"[gs]etattr",
    "hints_removed": r"->|\w: \w",
}
"""Without a match in a region the refactoring finds nothing there; the opposite is not said."""
BECOMES = {
    "compare_none": r"==\s*None => is None|!=\s*None => is not None",
    "empty_literals": r"dict\(\s*\) => \{\}|list\(\s*\) => \[\]|tuple\(\s*\) => \(\)",
    "plain_super": r"super\(.*\) => super\(\)",
    "no_object_base": r"\(\s*object\s*\) => (?:\(\))?|,\s*object => |object\s*,\s* => ",
    "range_start": r"range\(\s*0\s*,\s* => range\(",
    "membership_test": r"not\s+(\S.*?)\s+in => \1 not in|not\s+(\S.*?)\s+is => \2 is not",
}
"""What a match of the sign becomes, for refactorings that change nothing else (`model/editing/scope.py`)."""
