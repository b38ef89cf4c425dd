"""Refactorings that a linter does: for each the rules whose automatic fix makes it, and ways to ask for it.

The rules are Ruff's (https://docs.astral.sh/ruff/rules/); rules that a user would ask for in the same words are one
refactoring. Only rules whose fix stays inside a definition are here: one that also needs an import does not.
"""

from __future__ import annotations

from model.train.refactorings.refactoring import Refactoring


def _entry(name: str, rules: str, *phrasings: str, settings: tuple[str, ...] = ()) -> Refactoring:
    return Refactoring(name, phrasings, tuple(rules.split()), settings)


LINTED = (
    _entry(
        "f_strings", "UP031 UP032 FLY002",
        "Use f-strings", "convert to f-strings", "Replace str.format and % formatting with f-strings",
        "use an f-string instead of format", "Modernise the string formatting with f-strings",
        "turn the formatted strings into f-strings",
    ),
    _entry(
        "modern_typing", "UP006 UP007 UP045",
        "Use modern type hints", "modernise the type annotations",
        "Write X | None instead of Optional[X] and list instead of List",
        "use builtin generics and | in type hints", "Replace Optional and Union with |",
        "update the typing syntax to Python 3.10",
    ),
    _entry(
        "unquoted_hints", "UP037",
        "Remove the quotes from type annotations", "unquote the annotations", "Write type hints without quotes",
        "drop quotes around annotations",
    ),
    _entry(
        "early_return", "RET505 RET506 RET507 RET508",
        "Remove the else after return", "Use an early return instead of else", "drop superfluous else branches",
        "no else after return or raise", "flatten the code after the return",
        "Remove unnecessary else after return, raise, continue or break",
    ),
    _entry(
        "collapsed_else_if", "PLR5501",
        "Use elif instead of else followed by if", "collapse else: if into elif", "Turn the nested else if into elif",
        "merge else and if to elif",
    ),
    _entry(
        "merged_if", "SIM102",
        "Merge the nested ifs", "combine nested if statements with and", "Collapse the nested if statements into one",
        "join nested conditions into a single if",
    ),
    _entry(
        "merged_with", "SIM117",
        "Merge the nested with statements", "Combine the context managers into one with",
        "use a single with statement", "Collapse nested with blocks",
    ),
    _entry(
        "returned_condition", "SIM103",
        "Return the condition directly", "replace if/else returning True and False by the condition",
        "Simplify the boolean return", "return the boolean expression itself",
    ),
    _entry(
        "conditional_expression", "SIM108",
        "Use a conditional expression", "replace the if/else block with a ternary",
        "Turn if/else assignment into a conditional expression", "write the assignment as x if c else y",
    ),
    _entry(
        "plain_bool", "SIM210 SIM211",
        "Simplify True if c else False", "use bool() instead of True if else False",
        "Remove the redundant True/False conditional", "replace the boolean ternary",
    ),
    _entry(
        "in_mapping", "SIM118",
        "Test membership without .keys()", "remove the needless keys() call", "Use `key in d` instead of d.keys()",
        "drop .keys() from the loop or test",
    ),
    _entry(
        "natural_comparison", "SIM300",
        "Put the constant on the right of the comparison", "avoid yoda conditions", "Swap the yoda comparison",
        "rewrite reversed comparisons with the variable first",
    ),
    _entry(
        "merged_isinstance", "SIM101",
        "Merge the isinstance calls", "use one isinstance with a tuple of types", "Combine repeated isinstance checks",
        "join isinstance tests",
    ),
    _entry(
        "any_all", "SIM110",
        "Use any() or all() instead of the loop", "replace the for loop with any or all",
        "Turn the searching loop into any()/all()", "return any(...) rather than looping",
    ),
    _entry(
        "dict_get", "SIM401 SIM910",
        "Use dict.get", "replace the if/else lookup with .get", "Simplify the dictionary lookup with get",
        "use get with a default",
    ),
    _entry(
        "comprehensions", "C400 C401 C402 C403 C404 C417 PERF401 PERF403",
        "Use a comprehension", "replace the loop with a comprehension",
        "Turn the append loop into a list comprehension", "rewrite with a comprehension",
        "build the collection by a comprehension", "Convert to list, set or dict comprehensions",
        settings=("lint.preview=true",),  # the fix of loops is a preview
    ),
    _entry(
        "needless_comprehension", "C416 C419 C411 C413 C414",
        "Remove unnecessary comprehensions and casts", "drop the needless list around it",
        "Simplify the redundant list() and comprehension calls", "pass the iterable directly",
    ),
    _entry(
        "set_literals", "C405",
        "Use set literals", "write {a, b} instead of set([a, b])", "Replace set() of a list with a set literal",
        "prefer set displays",
    ),
    _entry(
        "empty_literals", "C408",
        "Use literals for empty collections", "Replace dict() and list() with {} and []",
        "use [] and {} instead of list() and dict()", "prefer empty literals",
        settings=("lint.flake8-comprehensions.allow-dict-calls-with-keyword-arguments=true",),
    ),
    _entry(
        "dict_literals", "C408",
        "Rewrite dict() calls as literals", "write collection literals rather than calls",
        "Turn dict(a=1) into a dictionary literal", "use braces instead of dict calls with keywords",
    ),
    _entry(
        "unused_variables", "F841",
        "Remove unused variables", "delete the variables that are never used", "Drop unused assignments",
        "clean up unused local variables", "remove dead variables",
    ),
    _entry(
        "unused_unpacking", "RUF059",
        "Prefix unused unpacked variables with an underscore", "mark unused tuple elements with _",
        "Rename unused unpacked names to start with an underscore", "underscore the unused unpacked values",
    ),
    _entry(
        "unused_loop_variable", "B007",
        "Prefix the unused loop variable with an underscore", "mark unused loop variables",
        "Rename loop variables that are not used to _name", "underscore for unused loop control variables",
    ),
    _entry(
        "unused_imports", "F401",
        "Remove unused imports", "delete imports that are not used", "Drop the unused import",
        "clean up the imports",
    ),
    _entry(
        "plain_strings", "F541",
        "Remove f from strings without placeholders", "drop the needless f prefix",
        "Use plain strings where nothing is interpolated", "f-strings without placeholders should be plain",
    ),
    _entry(
        "compare_none", "E711",
        "Use `is None` instead of `== None`", "compare with None by identity", "Replace == None with is None",
        "use is and is not for None", "Fix the comparisons to None",
    ),
    _entry(
        "compare_bool", "E712",
        "Do not compare with True or False", "remove == True and == False", "Simplify comparisons to booleans",
        "test the truth value directly",
    ),
    _entry(
        "membership_test", "E713 E714",
        "Use `not in` and `is not`", "replace `not x in y` with `x not in y`",
        "Write the negated membership test as not in",
        "use the not in operator",
    ),
    _entry(
        "plain_super", "UP008",
        "Use super() without arguments", "Simplify the super calls", "modernise super calls",
        "remove the arguments of super()", "Use the zero-argument super",
    ),
    _entry(
        "no_object_base", "UP004",
        "Remove the object base class", "do not inherit from object", "Drop the useless object inheritance",
        "write classes without (object)",
    ),
    _entry(
        "open_modes", "UP015",
        "Remove redundant open modes", "drop the default mode of open()", 'Call open without the needless "r"',
        "remove the unnecessary mode argument",
    ),
    _entry(
        "os_error", "UP024 UP041",
        "Use OSError instead of its old aliases", "replace IOError and EnvironmentError with OSError",
        "Modernise exception names", "use the builtin OSError and TimeoutError",
    ),
    _entry(
        "no_unicode_prefix", "UP025",
        "Remove the u prefix from strings", "drop unicode prefixes", 'Write "x" instead of u"x"',
        "strip u from string literals",
    ),
    _entry(
        "plain_encode", "UP012 UP018",
        "Use native literals", 'replace str("") and encode("utf-8") by literals',
        "Simplify redundant encode and str calls",
        "remove the unnecessary utf-8 argument or call",
    ),
    _entry(
        "no_extra_parentheses", "UP034",
        "Remove extraneous parentheses", "drop the doubled parentheses", "Clean up redundant parentheses",
        "remove needless ((...))",
    ),
    _entry(
        "needless_pass", "PIE790",
        "Remove needless pass statements", "delete the unnecessary pass", "Drop pass and ... where they do nothing",
        "remove useless placeholders",
    ),
    _entry(
        "range_start", "PIE808",
        "Remove the zero start of range", "write range(n) instead of range(0, n)", "Drop the unnecessary range start",
        "simplify range(0, n)",
    ),
    _entry(
        "merged_startswith", "PIE810",
        "Merge startswith and endswith calls", "call startswith once with a tuple",
        "Combine the repeated endswith tests", "use a tuple for startswith",
    ),
    _entry(
        "plain_getattr", "B009 B010",
        "Use attribute access instead of getattr with a constant", "replace getattr and setattr by plain attributes",
        "Access the attribute directly", "no getattr with a constant name",
    ),
    _entry(
        "mutable_defaults", "B006",
        "Do not use mutable default arguments", "replace mutable defaults with None",
        "Fix the mutable default argument",
        "use None as the default and create the list inside",
    ),
    _entry(
        "raise_without_call", "RSE102",
        "Remove the empty parentheses of raise", "raise the exception class without ()",
        "Drop needless parentheses on raised exceptions", "write raise Error instead of raise Error()",
    ),
    _entry(
        "plain_raise", "TRY201",
        "Use a bare raise", "re-raise without naming the exception", "Write raise instead of raise e",
        "simplify the re-raise",
    ),
    _entry(
        "yield_from", "UP028",
        "Use yield from", "replace the yielding loop with yield from", "Turn for-yield loops into yield from",
        "delegate with yield from",
    ),
    _entry(
        "in_tuple", "PLR1714",
        "Merge repeated comparisons with in", "use `x in (a, b)` instead of several ==",
        "Combine the equality tests into a membership test", "replace or-chained == by in",
    ),
    _entry(
        "min_max", "PLR1730 FURB136",
        "Use min() or max()", "replace the if with min or max", "Simplify the comparison to max()/min()",
        "clamp with min and max",
    ),
    _entry(
        "needless_return", "PLR1711 RET501",
        "Remove the useless return", "drop return None at the end", "Delete needless return statements",
        "write return instead of return None",
    ),
    _entry(
        "returned_directly", "RET504",
        "Return the value directly", "remove the variable that is only returned", "Inline the assignment before return",
        "drop the temporary and return the expression",
    ),
    _entry(
        "unpacked_literals", "RUF005",
        "Use unpacking instead of concatenation", "write [*a, b] rather than a + [b]",
        "Build the list by unpacking", "replace list concatenation with unpacking",
    ),
    _entry(
        "conversion_flags", "RUF010",
        "Use conversion flags in f-strings", "write {x!r} instead of {repr(x)}",
        "Replace str() and repr() inside f-strings by !s and !r", "use !r in the f-string",
    ),
    _entry(
        "next_iter", "RUF015",
        "Use next(iter(...)) for the first element", "do not build a list to take its first element",
        "Replace list(x)[0] with next(iter(x))", "take the first item by next",
    ),
    _entry(
        "key_check", "RUF019",
        "Replace the key check with get", "use d.get(k) instead of `k in d and d[k]`",
        "Simplify the unnecessary key check",
        "drop the redundant membership test",
    ),
    _entry(
        "direct_lookup", "PLR1733 PLR1736",
        "Use the loop's value instead of indexing", "avoid the unnecessary index lookup",
        "Use the value that items() or enumerate() gives", "replace repeated lookups in the loop",
    ),
    _entry(
        "file_lines", "FURB129",
        "Iterate over the file without readlines", "remove readlines()", "Loop over the file object directly",
        "no readlines in the for loop",
    ),
    _entry(
        "or_operator", "FURB110",
        "Use or instead of a conditional expression", "replace `x if x else y` with `x or y`",
        "Simplify the ternary with or", "write x or y",
    ),
    _entry(
        "remove_affix", "FURB188",
        "Use removeprefix and removesuffix", "replace the slice with removeprefix or removesuffix",
        "Strip the prefix by str.removeprefix", "simplify the affix slicing",
    ),
    _entry(
        "lambda_to_def", "E731",
        "Use def instead of assigning a lambda", "turn the lambda into a function",
        "Replace the assigned lambda with a def",
        "write a named function rather than a lambda",
    ),
    _entry(
        "logging_warning", "G010 LOG009",
        "Use logger.warning instead of warn", "replace warn() with warning()", "Rename the deprecated logging calls",
        "call warning rather than warn",
    ),
    _entry(
        "pytest_asserts", "PT009",
        "Use plain assert instead of unittest methods", "convert self.assertEqual to assert",
        "Rewrite unittest assertions as assert statements", "use pytest-style asserts",
    ),
    _entry(
        "return_hints", "ANN201 ANN202 ANN204",
        "Add the return type", "annotate the return type", "Add a return annotation",
        "write -> None and other return types",
    ),
    _entry(
        "no_prints", "T201",
        "Remove the prints", "delete the print calls", "Remove debugging output", "drop all print statements",
        "take out the debug prints",
    ),
)  # fmt: skip
