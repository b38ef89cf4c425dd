"""Which distributions may be trained on."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import Distribution

import pytest

from model.train.licences import classify, permissive_licence

YES = [
    "MIT", "BSD-3-Clause", "Apache-2.0", "Apache Software License", "ISC", "PSF-2.0", "0BSD", "MIT License",
    "License :: OSI Approved :: BSD License", "The Unlicense (Unlicense)", "Python Software Foundation License",
]  # fmt: skip
NO = [
    "GPL", "GPLv3", "GPL-2.0-or-later", "LGPL-2.1", "AGPL-3.0", "MPL-2.0", "Mozilla Public License 2.0", "EPL-2.0",
    "GNU General Public License", "GNU Lesser General Public License v3", "Proprietary", "NVIDIA Software License",
    "Other/Proprietary License", "SSPL-1.0", "BUSL-1.1", "Free for non-commercial use", "CC-BY-NC-4.0", "",
    "see LICENSE file", "License :: OSI Approved", "LIMITED", "permit",
]  # fmt: skip


class Fake(Distribution):
    """A distribution with nothing but metadata."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self._fields = fields

    def read_text(self, filename: str) -> str | None:
        message = Message()
        for key, value in (("Metadata-Version", "2.1"), ("Name", "x"), ("Version", "1"), *self._fields):
            message[key] = value
        return message.as_string() if filename == "METADATA" else None

    def locate_file(self, path):
        raise NotImplementedError


@pytest.mark.parametrize("statement", YES)
def test_permissive(statement: str) -> None:
    assert classify([statement]) is not None


@pytest.mark.parametrize("statement", NO)
def test_not_permissive(statement: str) -> None:
    assert classify([statement]) is None


@pytest.mark.parametrize(
    "bad", ["GPL-3.0", "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)"]
)
def test_one_copyleft_statement_is_enough_to_refuse(bad: str) -> None:
    assert classify(["MIT", bad]) is None
    assert classify([bad, "MIT"]) is None
    assert classify([f"MIT OR {bad}"]) is None


def test_no_statement_is_no_permission() -> None:
    assert classify([]) is None
    assert permissive_licence(Fake()) is None
    assert permissive_licence(Fake(("License", "UNKNOWN"))) is None
    assert permissive_licence(Fake(("Classifier", "Programming Language :: Python"))) is None


def test_every_place_in_the_metadata_is_read() -> None:
    assert permissive_licence(Fake(("License-Expression", "MIT"))) == "MIT"
    assert permissive_licence(Fake(("License", "BSD"))) == "BSD"
    assert permissive_licence(Fake(("Classifier", "License :: OSI Approved :: MIT License"))) == "MIT"
    both = Fake(
        ("License", "MIT"), ("Classifier", "License :: OSI Approved :: GNU General Public License (GPL)")
    )
    assert permissive_licence(both) is None
    assert permissive_licence(Fake(("License-Expression", "MIT"), ("License", "GPL"))) is None


def test_only_the_first_line_of_a_whole_licence_text_names_it() -> None:
    """A text may mention other licences further down."""
    assert permissive_licence(Fake(("License", "MIT License Copyright"))) == "MIT"
    assert permissive_licence(Fake(("License", "Some terms\n        like those of MIT"))) is None
