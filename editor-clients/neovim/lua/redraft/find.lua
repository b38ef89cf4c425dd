--- Where the server is. Knows nothing of how it is kept running.

local options = require('redraft.options')

local M = {}

---@class redraft.Found
---@field command string[] without arguments that make it a server
---@field where string how it was found, for people

-- Never a Python that would import what lies in the workspace: a folder called `model` there could be run instead.
local ISOLATED = { '-I', '-m', 'lsp_server' }

local windows = vim.fn.has('win32') == 1

--- The Python of a virtual environment.
---@param folder string
---@return string? path
local function python_in(folder)
  local path = folder .. (windows and '/Scripts/python.exe' or '/bin/python')
  return vim.fn.executable(path) == 1 and path or nil
end

---@param path string
---@return boolean
local function exists(path)
  return vim.uv.fs_stat(path) ~= nil
end

--- The command that `program`, a `redraft` on PATH, stands for. A link into an environment (pipx, uv) is followed.
---@param program string
---@return string[]
local function command_of(program)
  local folder = vim.fs.dirname(vim.fs.dirname(vim.uv.fs_realpath(program) or program))
  local python = exists(folder .. '/pyvenv.cfg') and python_in(folder)
  return python and { python, unpack(ISOLATED) } or { program }
end

--- The environment of the checkout that this plugin is part of, if it is.
---@return string[]?
local function in_checkout()
  local here = debug.getinfo(1, 'S').source:sub(2)
  local root = vim.fs.normalize(vim.fn.fnamemodify(here, ':p:h') .. '/../../../..')
  local python = exists(root .. '/lsp_server') and python_in(root .. '/.venv')
  return python and { python, unpack(ISOLATED) } or nil
end

--- A command without what makes it serve, so that `doctor` can be added.
---@param command string[]
---@return string[]
local function plain(command)
  return vim.tbl_filter(function(word)
    return word ~= '--stdio' and word ~= 'serve'
  end, command)
end

--- The server's command, or why there is none.
---@return redraft.Found? found
---@return string? why
function M.server()
  local given = options.get().cmd
  if given then
    if given[1] and vim.fn.executable(given[1]) == 1 then
      return { command = plain(given), where = 'the option `cmd`' }
    end
    return nil, ('`%s` (option `cmd`) is not a program.'):format(given[1] or '')
  end
  local program = vim.fn.exepath('redraft')
  if program ~= '' then
    return { command = command_of(program), where = program .. ' on PATH' }
  end
  local command = in_checkout()
  if command then
    return { command = command, where = 'the environment of the checkout that this plugin is in' }
  end
  return nil,
    'no server found. Put `redraft` on PATH, or name it: '
      .. "require('redraft').setup({ cmd = { '/path/to/redraft', '--stdio' } })"
end

--- How the server is started.
---@return string[]? command
---@return string? why
function M.serve()
  local given = options.get().cmd
  local found, why = M.server()
  if not found then
    return nil, why
  end
  -- A command of the user's own is run as it is.
  return given or vim.list_extend(vim.list_slice(found.command), { '--stdio' })
end

return M
