"""The page of `redraft play` in a real Chromium, with the real server and the embedded model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.editors.conftest import host

ROOT = Path(__file__).parents[3]
READY = "document.getElementById('status').dataset.state === 'ready'"
IDLE = "document.getElementById('run').textContent === 'Run'"


class Play:
    """A server that can be ended and started again at the same place."""

    def __init__(self, port: int = 0) -> None:
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from lsp_server.cli import main; sys.exit(main())"
        command = [sys.executable, "-I", "-c", code, "play", "--port", str(port), "--token", "key"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found
        self.link = found[0]
        self.port = int(self.link.split(":")[2].split("/")[0])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Browser:
    def __init__(self, node: Path, package: Path, chromium: str) -> None:
        script = Path(__file__).parent / "page" / "drive.mjs"
        self.process = subprocess.Popen(
            [str(node), str(script), str(package), chromium],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, do: str, **wish: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **wish}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer["result"]

    def code(self) -> str:
        return "\n".join(
            self("read", script="[...document.querySelectorAll('.cm-line')].map(l => l.textContent)")
        )


@pytest.fixture(scope="module")
def play() -> Iterator[Play]:
    play = Play()
    yield play
    play.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    package, node = host("vscode", "node_modules/playwright-core/package.json"), host("vscode", "bin/node")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "Chromium is missing although the editors are installed"
    browser = Browser(node, package, chromium)
    yield browser
    assert browser("errors") == []
    browser.process.stdin.close()
    browser.process.wait(20)


@pytest.fixture
def page(browser: Browser, play: Play) -> Browser:
    """The page, freshly opened and connected."""
    browser("open", link=play.link, scheme="light")
    browser("wait", script=READY)
    return browser


def run(page: Browser) -> None:
    page("click", what="#run")
    page("wait", script=IDLE)
    page("click", what="#player >> text=End")


def mark(page: Browser, *lines: int) -> None:
    """Marks these lines to be filled."""
    page("click", what="input[value=fill]")
    for line in lines:
        page("click", what=f".cm-line >> nth={line}")
        page("keys", keys=["Home", "Shift+End", "Alt+m"])


def cost(milliseconds: float, forwards: int) -> dict[str, float]:
    return {
        "milliseconds": milliseconds,
        "forwards": forwards,
        "prefills": 1,
        "tokens": forwards,
        "tokensPerForward": 1.0,
    }


def step(milliseconds: float, forwards: int, *regions: str) -> dict[str, Any]:
    frames = [{"region": i, "cells": [[text, "committed", 0.9]]} for i, text in enumerate(regions)]
    return {"cost": cost(milliseconds, forwards), "frames": frames}


def unchanged(milliseconds: float, forwards: int) -> dict[str, Any]:
    return {
        "status": "unchanged",
        "message": "as it is",
        "cost": cost(milliseconds, forwards),
        "edits": [],
    }


def test_a_fix_is_shown_and_applied(page: Browser, play: Play, screenshots: Path) -> None:
    page("click", what=".cm-line")
    run(page)
    assert len(page("text", what=".canvas")) == 2, "diffusion, and the autoregressive run beside it"
    figures = page("text", what=".figures")
    final = max(int(each) for each in re.findall(r"(\d+)\sms", " ".join(figures)))
    assert page("text", what="#player output") == [f"{final} ms"]
    assert page("read", script="(s => s.value === s.max)(document.querySelector('#player input'))")
    assert "after the same time of work" in page("text", what="#player + .hint")[0]
    page("picture", path=str(screenshots / "page-fix-light.png"))
    assert "def total(items, start=None)\n" in page.code()
    page("click", what=".verdict button")
    assert "def total(items, start=None):\n" in page.code()
    where = f"127.0.0.1:{play.port}"
    assert page("hosts") == [where], "no request to any other host"


CUT = "The connection was cut in the middle of it. Run it again once the page is connected."
STALE = "The code has changed since; run again."


def test_edits_for_another_text_cannot_be_applied(page: Browser) -> None:
    """Edits name places in the text that was sent: applied to another one, they would spoil it."""
    page("click", what=".cm-line")
    run(page)
    assert page("text", what=".verdict button") == ["Apply to the code"] * 2
    page("click", what="article >> nth=0 >> .verdict button")
    applied = page.code()
    assert "def total(items, start=None):\n" in applied
    assert page("text", what=".verdict") == [STALE] * 2
    page("keys", keys=["Control+z"])
    assert page("text", what=".verdict") == [STALE] * 2
    run(page)
    assert len(page("text", what=".verdict button")) == 2
    page("click", what=".cm-line >> nth=9")
    page("write", text="x")
    assert page("text", what=".verdict") == [STALE] * 2


def test_spans_are_marked_and_stepped_through(page: Browser, screenshots: Path) -> None:
    """Two spans denoised at once; steps forward and back show other canvases."""
    mark(page, 2, 4)
    assert page("text", what=".marked") == ["start = 0", "start += item"]
    page("choose", what="#policy", value="threshold")
    page("click", what="#beside")
    run(page)
    assert len(page("text", what="article >> nth=0 >> .canvas")) == 2
    page("click", what="#player >> text=Start")
    seen = set()
    for _ in range(4):
        page("click", what="#player >> text='Step'")
        seen.add("|".join(page("text", what="article >> nth=0 >> .canvas")))
    assert len(seen) > 1
    assert page("read", script="document.querySelectorAll('.cell.mask').length") > 0
    page("picture", path=str(screenshots / "page-spans.png"))
    page("click", what="#player >> text='Step back'")
    assert "|".join(page("text", what="article >> nth=0 >> .canvas")) in seen


def test_everything_by_keyboard_in_the_dark(browser: Browser, play: Play, screenshots: Path) -> None:
    browser("open", link=play.link, scheme="dark")
    browser("wait", script=READY)
    browser("click", what=".cm-line >> nth=10")
    browser("keys", keys=["Escape", "Tab", "ArrowRight"])
    assert browser("read", script="document.activeElement.value") == "refactor"
    browser("keys", keys=["Tab", "Control+a"])
    browser("write", text="use super() without arguments")
    browser("keys", keys=["Enter"])
    browser("wait", script=IDLE + " && document.querySelector('.canvas')")
    browser("click", what="#player >> text=End")
    browser("picture", path=str(screenshots / "page-refactor-dark.png"))
    assert browser("text", what=".verdict")[0].startswith(("offered", "unchanged"))


def test_a_wish_that_lacks_something_is_said(page: Browser) -> None:
    page("click", what="input[value=fill]")
    page("click", what="#run")
    assert "Mark something first" in page("text", what="[role=alert]")[0]
    page("click", what="input[value=refactor]")
    page("click", what="#instruction")
    page("keys", keys=["Control+a", "Delete", "Enter"])
    assert "instruction" in page("text", what="[role=alert]")[0]


def test_a_wrong_key_is_said(browser: Browser, play: Play) -> None:
    browser("open", link=play.link.replace("#key", "#guess"), scheme="light")
    browser("wait", script="document.getElementById('status').dataset.state === 'refused'")
    assert "Wrong token" in browser("text", what="#status")[0]


def test_another_key_loads_the_page_anew(browser: Browser, play: Play) -> None:
    """A link pasted into the open tab changes nothing but the address's fragment."""
    browser("open", link=play.link.replace("#key", "#guess"), scheme="light")
    browser("wait", script="document.getElementById('status').dataset.state === 'refused'")
    browser("go", link=play.link)
    browser("wait", script=READY)


def test_an_end_is_shown_although_the_player_stands_still(page: Browser) -> None:
    """End pressed while a run is under way stays at its end, and there is the verdict."""
    mark(page, 2, 4)
    page("click", what="#run")
    page("click", what="#player >> text=End")
    page("wait", script="document.querySelector('.canvas')")
    page("wait", script=IDLE)
    assert page("text", what="#player >> text=Play")
    verdicts = page("text", what=".verdict")
    assert len(verdicts) == 2
    assert all(verdicts)


def test_a_run_that_begins_anew_drops_what_it_had(browser: Browser, play: Play) -> None:
    """As after a change of the model's settings: its time of work starts again."""
    news = [
        {"step": step(400, 3, "old", "older")},
        {"step": step(900, 4, "old")},
        {"step": step(10, 1, "new")},
        {"answer": unchanged(30, 2)},
    ]
    browser("open", link=play.link, scheme="light", imitated=[news])
    browser("wait", script=READY)
    browser("click", what="#beside")
    run(browser)
    assert browser("text", what=".canvas") == ["new"]
    assert browser("text", what="#player output") == ["30 ms"]
    browser("click", what="#player >> text='Step back'")
    assert browser("text", what=".canvas") == ["new"]
    assert browser("text", what="#player output") == ["10 ms"]


def test_a_stopped_run_shows_nothing_more(browser: Browser, play: Play) -> None:
    news = [{"step": step(10, 1, "first")}, {"late": step(20, 2, "late")}]
    browser("open", link=play.link, scheme="light", imitated=[news, [{"answer": unchanged(5, 1)}]])
    browser("wait", script=READY)
    browser("click", what="#beside")
    browser("click", what="#run")
    browser("click", what="#player >> text=End")
    browser("wait", script="document.querySelector('.canvas')")
    run(browser)
    assert browser("text", what=".canvas") == ["first"]
    assert browser("text", what=".verdict") == ["Cancelled."]
    run(browser)
    assert browser("text", what=".verdict") == ["unchanged: as it is"]
    tokens = browser("tokens")
    assert len(set(tokens)) == len(tokens), "of other pages too"


def test_one_loop_moves_the_clock(browser: Browser, play: Play) -> None:
    """However often a run is begun, or paused and played on, while it plays."""
    news = [{"step": step(1, 1, "a")}, {"step": step(90_000, 2, "b")}, {"answer": unchanged(90_000, 2)}]
    browser("open", link=play.link, scheme="light", imitated=[news, news])
    browser("wait", script=READY)
    browser("click", what="#beside")
    count = """(() => {
        const ask = window.requestAnimationFrame.bind(window);
        window.drawn = [];
        window.requestAnimationFrame = (then) => ask((now) => (window.drawn.push(now), then(now)));
    })()"""
    browser("read", script=count)
    for _ in range(2):
        browser("click", what="#run")
        browser("wait", script=IDLE)
    again = "for (let i = 0; i < 4; i++) [...document.querySelectorAll('#player button')][2].click()"
    browser("read", script=again)
    browser("read", script="window.drawn = []")
    browser("wait", script="window.drawn.length > 20")
    assert browser("read", script="new Set(window.drawn).size === window.drawn.length")


def test_the_page_finds_a_server_again(browser: Browser, screenshots: Path) -> None:
    """Cut in the middle of a run: said, nothing lost, and connected again by itself."""
    first = Play()
    try:
        browser("open", link=first.link, scheme="light")
        browser("wait", script=READY)
        browser("click", what=".cm-line")
        browser("keys", keys=["End"])
        browser("write", text="  # mine")
        mark(browser, 2, 4, 11, 13)
        browser("choose", what="#policy", value="threshold")
        browser("read", script="document.querySelector('#numbers input').value = '0.99'")
        browser("click", what="#run")
        browser("click", what="#player >> text=End")
        browser("wait", script="document.querySelector('.canvas')")
        assert browser("text", what="#run") == ["Stop"], "the run is long enough to be cut"
        first.end()
        browser("wait", script="document.getElementById('status').dataset.state === 'lost'")
        assert browser("text", what=".verdict") == [CUT] * 2
        browser("picture", path=str(screenshots / "page-lost.png"))
        second = Play(first.port)
        try:
            browser("wait", script=READY)
            assert "# mine" in browser.code()
            run(browser)
            assert "# mine" in browser.code()
            assert re.match(r"\d+\ssteps?\b", browser("text", what=".figures")[0])
        finally:
            second.end()
    finally:
        first.end()


def test_the_committed_bundle_is_built_from_its_sources(browser: Browser, tmp_path: Path) -> None:
    """The page that ships is what `npm run build` makes of `editor-clients/web`."""
    source = ROOT / "editor-clients" / "web"
    if not (source / "node_modules").exists():
        pytest.fail("run `npm ci` in editor-clients/web: tests/e2e/hosts/web.sh does")
    shutil.copytree(source, tmp_path / "editor-clients" / "web", symlinks=True)
    done = subprocess.run(
        ["npm", "run", "build"],
        cwd=tmp_path / "editor-clients" / "web",
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for built in (tmp_path / "lsp_server" / "page").iterdir():
        assert built.read_bytes() == (ROOT / "lsp_server" / "page" / built.name).read_bytes(), built.name
