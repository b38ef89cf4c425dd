"""Fixes and refactorings in real Neovims, with the real server and its embedded model."""

from __future__ import annotations

from .neovim import BROKEN, IS_NONE, MENDED, OLD_STYLE, QUIET, both, newest
from .places import has_lines, place


@both
def test_fix_by_a_code_action(nvim, tmp_path, screenshots, request):
    nvim.open(tmp_path / "a.py", BROKEN)
    titles = nvim.lua("""
      local client = vim.lsp.get_clients({ name = 'redraft', bufnr = 0 })[1]
      local params = vim.lsp.util.make_range_params(0, client.offset_encoding)
      params.context = { diagnostics = {} }
      local answer = client:request_sync('textDocument/codeAction', params, 20000, vim.api.nvim_get_current_buf())
      return vim.tbl_map(function(action) return action.title end, answer.result)
    """)
    assert titles[0] == "Fix this function"
    nvim.lua("""
      vim.lsp.buf.code_action({
        apply = true,
        filter = function(action) return action.title == 'Fix this function' end,
      })
    """)
    nvim.until(lambda: nvim.text() == MENDED, "the colon is back")
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-fixed.png")
    assert nvim.undo() == BROKEN
    assert nvim.heard() == []


@both
def test_refactoring_shows_a_diff_first(nvim, tmp_path, screenshots, request):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    wanted = OLD_STYLE.replace("== None", "is None")
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-preview.png")
    assert "+    if a is None:" in nvim.screen()
    nvim.keys("a")
    nvim.until(lambda: nvim.text() == wanted, "both comparisons are changed")
    assert nvim.undo() == OLD_STYLE, "both in one undo step"
    assert nvim.heard() == []


@both
def test_a_rejected_refactoring_changes_nothing(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    for rejecting in ("q", ":close<CR>"):
        nvim.lua("vim.g.heard = {}")
        nvim.wait(QUIET)
        nvim.command(f"Redraft refactor {IS_NONE}")
        nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
        nvim.keys(rejecting)
        nvim.until(nvim.heard, "the rejection is confirmed")
        assert nvim.heard() == ["Redraft: rejected; nothing was changed."]
        assert nvim.text() == OLD_STYLE
        assert not nvim.nvim.current.buffer.options["modified"]


@both
def test_refactoring_some_lines(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    nvim.keys("Vjjj:Redraft refactor ")
    nvim.wait(50)
    nvim.keys(f"{IS_NONE}<CR>")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    nvim.keys("<CR>")
    nvim.until(lambda: nvim.text() == OLD_STYLE.replace("a == None", "a is None"), "only those lines")


@newest
def test_without_an_instruction_it_asks_for_one(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    nvim.lua("vim.ui.input = function(options, done) vim.g.prompt = options.prompt; done(vim.g.wish) end")
    nvim.nvim.vars["wish"] = IS_NONE
    nvim.command("Redraft refactor")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    assert nvim.nvim.vars["prompt"] == "Refactor the file: "
    nvim.keys("q")
    nvim.until(nvim.heard, "the rejection is confirmed")


@newest
def test_an_edit_while_the_diff_is_shown_leads_to_another_diff(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", "import os\n\n\n" + OLD_STYLE)
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    nvim.keys("<C-w>pgg0O# new<Esc>")
    nvim.until(lambda: "@@ -3," in nvim.screen(), "the diff begins a line below")
    nvim.keys("a")
    wanted = "# new\nimport os\n\n\n" + OLD_STYLE.replace("== None", "is None")
    nvim.until(lambda: nvim.text() == wanted, "both are there")


@both
def test_cancel(nvim, tmp_path):
    many = "\n\n".join(
        f"def f{i}(a, b, c):\n    if a == None:\n        return b\n    return c\n" for i in range(150)
    )
    nvim.open(tmp_path / "a.py", many)
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: IS_NONE in nvim.lua("return require('redraft').status()"), "it is in the status")
    nvim.until(lambda: ":Redraft cancel stops it" in nvim.screen(), "and in the command line")
    nvim.command("Redraft cancel")
    nvim.until(lambda: "Redraft: stopped." in nvim.heard(), "it is stopped")
    nvim.until(lambda: nvim.lua("return require('redraft').status()") == "Redraft", "and idle")
    assert nvim.text() == many


# the files people have


@both
def test_line_ends_of_windows_are_kept(nvim, tmp_path):
    path = tmp_path / "a.py"
    where = place(has_lines)
    nvim.open(path, where.file.replace("\n", "\r\n"))
    nvim.keys("GA" + where.key)
    text = nvim.shown()
    assert has_lines(text), text
    assert "\r" not in text
    nvim.keys("<C-l>")
    nvim.until(lambda: text in nvim.text(), "it was taken")
    nvim.keys("<Esc>")
    nvim.wait(20)
    nvim.command("write")
    assert path.read_bytes() == f"{where.typed}{text}\n".replace("\n", "\r\n").encode()

    path = tmp_path / "b.py"
    nvim.open(path, BROKEN.replace("\n", "\r\n"))
    nvim.command("Redraft fix")
    nvim.until(lambda: nvim.text() == MENDED, "the colon is back")
    nvim.command("write")
    assert path.read_bytes() == MENDED.replace("\n", "\r\n").encode()


@both
def test_a_read_only_buffer_is_left_alone(nvim, tmp_path):
    for option, why in (("readonly", "read-only"), ("nomodifiable", "not modifiable")):
        nvim.open(tmp_path / "a.py", BROKEN)
        nvim.lua("vim.g.heard = {}")
        nvim.command(f"setlocal {option}")
        nvim.command("Redraft fix")
        nvim.until(nvim.heard, "it says why not")
        assert len(nvim.heard()) == 1
        assert why in nvim.heard()[0]
        nvim.lua(
            "vim.lsp.buf.code_action({ apply = true, filter = function(a) return a.title:find('^Fix') end })"
        )
        nvim.wait(500)
        assert nvim.text() == BROKEN
        nvim.command("bwipeout!")


@both
def test_paths_with_blanks_and_letters_of_any_kind(nvim, tmp_path):
    nvim.open(tmp_path / "mein Projekt %20 #1" / "größe 大小.py", BROKEN)
    nvim.command("Redraft fix")
    nvim.until(lambda: nvim.text() == MENDED, "the colon is back")


@newest
def test_a_file_over_the_limit_is_named_once(nvim, tmp_path):
    nvim.lua("require('redraft').configure({ limits = { maxFileBytes = 20 } })")
    nvim.open(tmp_path / "large.py", BROKEN)
    nvim.command("Redraft fix")
    nvim.until(nvim.heard, "it says why not")
    nvim.wait(300)
    nvim.lua("require('redraft').configure({ limits = { maxFileBytes = 1000000 } })")
    (heard,) = nvim.heard()
    assert "maxFileBytes" in heard
    assert nvim.text() == BROKEN
