"""Which installed distributions may be trained on: permissive licences only, as their metadata states them."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageMetadata

_PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|ISCL|PSF|PSFL|Python-2\.0|CNRI-Python|Unlicense|Zlib|CC0|HPND|MIT-0|WTFPL|"
    r"Python Software Foundation|Public Domain)\b",
    re.IGNORECASE,
)
_RESTRICTIVE = re.compile(
    r"\b([AL]?GPL\w*|MPL|EPL|EUPL|CDDL|OSL|SSPL|BUSL|Mozilla|Affero|Lesser|Proprietary|Commercial|NVIDIA|"
    r"NC|ND|LicenseRef|Educational|Non-?Commercial)\b|GNU General",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(r"License :: OSI Approved\s*$|^(dual|see|copyright|file:?)\b", re.IGNORECASE)


def permissive_licence(distribution: Distribution) -> str | None:
    """A short licence name when every statement of the metadata is permissive, otherwise None.

    A distribution without any statement counts as unlicensed: None.
    """
    return classify(_statements(distribution.metadata))


def classify(statements: list[str]) -> str | None:
    """The first permissive name in `statements`; None where one of them is not permissive, or none says
    anything."""
    telling = [s for s in statements if not _SAYS_NOTHING.search(s)]
    found = [_PERMISSIVE.search(s) for s in telling]
    if not found or not all(found) or any(_RESTRICTIVE.search(s) for s in telling):
        return None
    return found[0].group(1) if found[0] else None


def _statements(metadata: PackageMetadata) -> list[str]:
    fields: dict[str, list[str]] = {}
    for key, value in metadata.items():  # type: ignore[attr-defined]  # email.message.Message underneath
        fields.setdefault(str(key), []).append(str(value))
    expression = fields.get("License-Expression", [])
    # A `License` field may hold the whole text; its first line names it.
    named = [v.strip().splitlines()[0][:120] for v in fields.get("License", []) if v.strip()]
    classified = [v for v in fields.get("Classifier", []) if v.startswith("License ::")]
    return [s for s in (*expression, *named, *classified) if s.upper() != "UNKNOWN"]
