"""Whether a Python region parses, and what Python says where it does not."""

from __future__ import annotations

import ast
import warnings


def syntax_error(region: str) -> SyntaxError | None:
    """What Python's parser says of a region, which may be an indented method; None where it parses.

    The error's line and column count within the region, from 1.
    """
    code = region if region[:1] not in (" ", "\t") else "if True:\n" + region
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        if code is not region and error.lineno is not None:
            error.lineno = max(1, error.lineno - 1)
        return error
    except (ValueError, RecursionError, MemoryError) as error:
        return SyntaxError(str(error))
    return None
