"""A Neovim of its own for each test, driven over its RPC as a user would: by keys, commands and looking."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pynvim
import pytest

PLUGIN = Path(__file__).parents[3] / "editor-clients" / "neovim"
PATIENCE = float(os.environ.get("REDRAFT_PATIENCE", "20"))  # seconds; more for a machine that is busy
COLUMNS, LINES = 100, 30

BROKEN = "def area(width, height)\n    return width * height\n"
MENDED = "def area(width, height):\n    return width * height\n"
OLD_STYLE = (
    "def first(a):\n    if a == None:\n        return 1\n    return 2\n\n\n"
    "def second(b):\n    if b == None:\n        return 1\n    return 2\n"
)
IS_NONE = "Use `is None` instead of `== None`"
QUIET = 300  # milliseconds in which the plugin does not repeat itself
VERSIONS = ["neovim", "neovim-0.11"]

both = pytest.mark.parametrize("shared", VERSIONS, indirect=True)
newest = pytest.mark.parametrize("shared", VERSIONS[:1], indirect=True)


def as_lua(value: Any) -> str:
    """A value as a Lua expression."""
    return f"vim.json.decode([==[{json.dumps(value)}]==])"


class Neovim:
    """Starts with no configuration but `setup` (Lua, the argument of redraft's `setup`), in a home of its own."""

    def __init__(self, program: Path, home: Path, setup: str, *, before: str = "") -> None:
        home.mkdir(parents=True, exist_ok=True)
        folders = {
            f"XDG_{name}_HOME": str(home / name.lower()) for name in ("CONFIG", "DATA", "STATE", "CACHE")
        }
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
        environment = {**keep, "HOME": str(home), "LC_ALL": "C.UTF-8", **folders}
        first = home / "first.lua"
        # Neovim would look for a Python of its own, for a minute on a slow machine.
        off = "vim.g.loaded_python3_provider = 0"
        first.write_text(f"{off}\n{before}\nrequire('redraft').setup({setup})\n", "utf-8")
        command = ["env", "-i", *(f"{k}={v}" for k, v in environment.items()), str(program)]
        command += ["--embed", "--headless", "--clean", "-n", "-i", "NONE"]
        command += [
            "--cmd",
            f"set rtp^={PLUGIN} columns={COLUMNS} lines={LINES}",
            "--cmd",
            f"luafile {first}",
        ]
        self.nvim = pynvim.attach("child", argv=command)
        self.home = home
        self.lua("vim.g.heard = {}")
        self.lua(
            "local notify = vim.notify; vim.notify = function(text, level, ...)"
            " local heard = vim.g.heard; table.insert(heard, text); vim.g.heard = heard;"
            " return notify(text, level, ...) end"
        )

    def close(self) -> None:
        with suppress(OSError, EOFError):  # it answers by ending
            self.nvim.command("qall!")
        self.nvim.close()

    # doing

    def lua(self, code: str, *arguments: Any) -> Any:
        return self.nvim.exec_lua(code, *arguments)

    def command(self, command: str) -> None:
        self.nvim.command(command)

    def keys(self, keys: str) -> None:
        """Type. `nvim_input` only queues: wait for what the keys shall do."""
        self.nvim.input(keys.replace("<", "<lt>") if keys == "<" else keys)

    def open(self, path: Path, text: str | None = None, *, attached: bool = True) -> None:
        if text is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        self.lua("vim.cmd.edit(vim.fn.fnameescape(...))", str(path))
        if attached:
            self.until(lambda: self.state() == "ready", "the server is ready")

    def wait(self, milliseconds: int) -> None:
        """Let Neovim go on."""
        self.lua("vim.wait(...)", milliseconds)

    def until(self, true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if value := true():
                return value
            time.sleep(0.01)
        raise AssertionError(f"never so: {what}\nheard: {self.heard()}\nlog: {self.log()}\n{self.screen()}")

    # looking

    def text(self) -> str:
        return "\n".join(self.nvim.current.buffer[:]) + "\n"

    def undo(self) -> str:
        """Take back one step; the text before it."""
        self.command("stopinsert | undo")
        return self.text()

    def heard(self) -> list[str]:
        """What Neovim and the plugin have said."""
        return list(self.nvim.vars["heard"])

    def state(self) -> str:
        code = """
          local client = vim.lsp.get_clients({ name = 'redraft', bufnr = 0 })[1]
          local status = client and require('redraft.status').of(client.id)
          return status and status.state or ''
        """
        return self.lua(code)

    def pid(self) -> int:
        """The server's process."""
        return self.lua("return vim.api.nvim_get_proc_children(vim.fn.getpid())[1] or 0")

    def ghost(self) -> str:
        """The grey text, whoever shows it."""
        code = """
          local text = {}
          for _, name in ipairs({ 'nvim.lsp.inline_completion', 'redraft.ghost' }) do
            local space = vim.api.nvim_create_namespace(name)
            for _, mark in ipairs(vim.api.nvim_buf_get_extmarks(0, space, 0, -1, { details = true })) do
              local lines = { mark[4].virt_text or {} }
              vim.list_extend(lines, mark[4].virt_lines or {})
              for _, line in ipairs(lines) do
                local parts = vim.tbl_map(function(part) return part[1] end, line)
                table.insert(text, table.concat(parts))
              end
            end
          end
          return table.concat(text, '\\n')
        """
        return self.lua(code)

    def shown(self) -> str:
        """Wait for grey text."""
        return self.until(self.ghost, "there is a suggestion")

    def screen(self) -> str:
        code = """
          vim.cmd.redraw()
          local rows = {}
          for row = 1, vim.o.lines do
            local cells = {}
            for column = 1, vim.o.columns do cells[column] = vim.fn.screenstring(row, column) end
            rows[row] = table.concat(cells)
          end
          return rows
        """
        return "\n".join(row.rstrip() for row in self.lua(code))

    def cells(self) -> list[list[tuple[str, int, int]]]:
        """The screen, floating windows included, as rows of text, foreground, background: what Neovim sends to a
        user interface that attaches."""
        rows: list[list[tuple[str, int, int] | None]] = [[None] * COLUMNS for _ in range(LINES)]
        looks: dict[int, dict[str, Any]] = {0: {}}
        foreground, background = 0xFFFFFF, 0
        self.nvim.ui_attach(COLUMNS, LINES, rgb=True, ext_linegrid=True)
        self.command("redraw!")
        self.nvim.ui_detach()
        self.command(f"call rpcnotify({self.nvim.channel_id}, 'over')")
        while (message := self.nvim.next_message())[1] != "over":
            for name, *calls in message[2] if message[1] == "redraw" else ():
                for call in calls:
                    if name == "default_colors_set":
                        foreground, background = call[0], call[1]
                    elif name == "hl_attr_define":
                        looks[call[0]] = call[1]
                    elif name == "grid_line":
                        _, y, x, cells, *_ = call
                        kind = 0
                        for text, *rest in cells:
                            kind = rest[0] if rest else kind
                            look = looks[kind]
                            fg = look.get("foreground", foreground)
                            bg = look.get("background", background)
                            cell = (text, bg, fg) if look.get("reverse") else (text, fg, bg)
                            for _ in range(rest[1] if len(rest) > 1 else 1):
                                rows[y][x] = cell
                                x += 1
        blank = (" ", foreground, background)
        return [[cell or blank for cell in row] for row in rows]

    def log(self) -> str:
        logs = sorted(self.home.rglob("lsp.log"))
        return logs[0].read_text("utf-8")[-2000:] if logs else "none"

    def screenshot(self, path: Path) -> None:
        """The screen as a picture, for a person to look at."""
        import matplotlib
        from PIL import Image, ImageDraw, ImageFont

        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        font = ImageFont.truetype(fonts / "DejaVuSansMono.ttf", 15)
        width, height = 9, 19
        picture = Image.new("RGB", (COLUMNS * width, LINES * height))
        draw = ImageDraw.Draw(picture)
        for y, row in enumerate(self.cells()):
            for x, (text, foreground, background) in enumerate(row):
                at = (x * width, y * height)
                draw.rectangle((*at, at[0] + width, at[1] + height), fill=f"#{background:06x}")
                draw.text(at, text, fill=f"#{foreground:06x}", font=font)
        picture.save(path)
