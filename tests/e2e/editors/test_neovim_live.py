"""A refactoring watched in real Neovims: what is drawn over the text while it is denoised, and that it goes away."""

from __future__ import annotations

from typing import Any

from .neovim import IS_NONE, OLD_STYLE, Neovim, both, newest

LONG = "\n\n".join(
    f"def f{i}(a, b, c):\n    if a == None:\n        return b\n    return c\n" for i in range(150)
)
MARKS = """
  local space = vim.api.nvim_create_namespace('redraft.live')
  return vim.api.nvim_buf_get_extmarks(..., space, 0, -1, { details = true })
"""
SPY = f"""
  local live = require('redraft.live')
  local step = live.step
  local marks_of = loadstring([==[{MARKS}]==])
  vim.g.steps = {{}}
  live.step = function(params)
    step(params)
    local steps = vim.g.steps
    table.insert(steps, {{
      marks = #marks_of(0),
      text = table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), '\\n') .. '\\n',
      status = require('redraft').status(),
      screen = vim.fn.screenstring(2, 10),
    }})
    vim.g.steps = steps
  end
"""


def marks(nvim: Neovim) -> list[Any]:
    return nvim.lua(MARKS, 0)


def is_idle(nvim: Neovim) -> bool:
    return nvim.lua("return require('redraft').status()") == "Redraft"


@both
def test_steps_are_drawn_over_the_text_which_stays(nvim, tmp_path):
    nvim.lua(SPY)
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    steps = nvim.nvim.vars["steps"]
    assert steps
    assert steps[-1]["marks"], "the new text is drawn"
    assert all(step["text"] == OLD_STYLE for step in steps)
    assert steps[-1]["status"].startswith(f"Redraft: {IS_NONE}")
    assert f": step {len(steps)}" in steps[-1]["status"]
    assert not marks(nvim), "the diff takes over"
    nvim.keys("a")
    nvim.until(lambda: nvim.text() == OLD_STYLE.replace("== None", "is None"), "it is applied")
    assert nvim.undo() == OLD_STYLE
    nvim.until(lambda: is_idle(nvim), "nothing is under way")
    assert nvim.heard() == []


@both
def test_cancelling_takes_what_is_drawn_away(nvim, tmp_path, screenshots, request):
    nvim.open(tmp_path / "a.py", LONG)
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: marks(nvim), "a step is drawn")
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-live.png")
    assert nvim.text() == LONG
    nvim.command("Redraft cancel")
    assert not marks(nvim)
    nvim.until(lambda: "Redraft: stopped." in nvim.heard(), "it is stopped")
    nvim.wait(300)
    assert not marks(nvim)
    nvim.until(lambda: is_idle(nvim), "nothing is under way")
    assert nvim.text() == LONG
    assert nvim.heard() == ["Redraft: stopped."]


@both
def test_closing_the_buffer_cancels(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", LONG)
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: marks(nvim), "a step is drawn")
    nvim.command("bwipeout!")
    nvim.open(tmp_path / "b.py", OLD_STYLE)
    nvim.until(lambda: is_idle(nvim), "nothing is under way")
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: "a apply" in nvim.screen(), "the next one is answered")
    nvim.keys("q")
    nvim.until(nvim.heard, "the rejection is confirmed")
    assert nvim.heard() == ["Redraft: rejected; nothing was changed."]


@both
def test_after_an_edit_it_goes_on_without_being_drawn(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", LONG)
    nvim.lua("require('redraft').refactor(...)", IS_NONE, [6, 9])
    nvim.keys("ggO# new<Esc>")
    nvim.until(lambda: "# new" in nvim.text(), "the edit is made")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    assert not marks(nvim)
    nvim.keys("a")
    second = LONG.index("def f1(")
    wanted = "# new\n" + LONG[:second] + LONG[second:].replace("== None", "is None", 1)
    nvim.until(lambda: nvim.text() == wanted, "the same lines are changed, which moved")
    assert nvim.heard() == []


# what is drawn

TEXT = "def größe(a):\n    if a == None:\n        return 1\n    return 2\n"


def draw(nvim: Neovim, *cells: tuple[str, str, float | None], line: int = 0, end: int = 3) -> list[str]:
    frame = {
        "region": 0,
        "range": {"start": {"line": line, "character": 0}, "end": {"line": end, "character": 12}},
        "cells": cells,
    }
    nvim.lua("require('redraft.canvas').draw(0, ...)", frame, "utf-16")
    return nvim.screen().split("\n")


@both
def test_a_canvas_is_laid_over_its_lines(nvim, screenshots, request):
    nvim.command("setfiletype python")
    nvim.nvim.current.buffer[:] = TEXT.split("\n")[:-1]
    rest = (":\n        return 1\n    return 2", "kept", None)
    screen = draw(
        nvim, ("def größe(a):\n    if a", "kept", None), ("", "mask", 0.1), ("", "remasked", 0.9), rest
    )
    assert screen[:4] == ["def größe(a):", "    if a░▓:", "        return 1", "    return 2"]
    screen = draw(nvim, ("def größe(a):\n    if a", "kept", None), (" is", "committed", 0.7), rest)
    assert screen[:2] == ["def größe(a):", "    if a is:"]
    in_place, over = marks(nvim)
    assert (in_place[1:3], in_place[3]["hl_group"]) == ([1, 8], "RedraftLikely"), "the blank stands there"
    assert over[1:3] == [1, 9]
    assert over[3]["virt_text"][:2] == [["is", "RedraftLikely"], [":", "RedraftGhost"]]
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-canvas.png")
    assert "\n".join(nvim.nvim.current.buffer[:]) + "\n" == TEXT
    nvim.lua("require('redraft.canvas').clear(0)")
    assert not marks(nvim)


@newest
def test_more_and_fewer_lines_than_before(nvim):
    nvim.nvim.current.buffer[:] = TEXT.split("\n")[:-1]
    doc = ('    """Size."""\n', "committed", 0.2)
    screen = draw(
        nvim, ("def größe(a):\n", "kept", None), doc, (TEXT.split("\n", 1)[1].rstrip(), "kept", None)
    )
    assert screen[:3] == ["def größe(a):", '    """Size."""', "    if a == None:"]
    screen = draw(nvim, ("def größe(a):\n    return 2", "kept", None))
    assert screen[:4] == [line.rstrip() for line in TEXT.split("\n")[:4]]
    (gone,) = {(m[3]["hl_group"], m[3]["end_row"] - m[1]) for m in marks(nvim)}
    assert gone == ("RedraftGone", 1)
    assert len(marks(nvim)) == 2
    screen = draw(nvim, ("# first\n", "committed", 1.0), (TEXT.rstrip(), "kept", None))
    assert marks(nvim)[0][3]["virt_lines_above"] is True
    screen = draw(nvim, (TEXT.rstrip() + "\n# last", "committed", 1.0))
    assert screen[4] == "# last"
