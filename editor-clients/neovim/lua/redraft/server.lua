--- The server's process: starting it, and what happens when it ends by itself.

local find = require('redraft.find')
local say = require('redraft.say')

local M = {}

local WINDOW = 5 * 60 * 1000 -- milliseconds in which crashes are counted
local CRASHES = 4 -- so many of them, and it is not started again by itself

M.first_pause = 1000 -- milliseconds before it is started again; doubled with every crash

local crashes = {} ---@type number[]
local resting = false -- between a crash and the next start
local given_up = nil ---@type string? why it is not started any more

--- Why no server may be started now; nil if one may.
---@return string?
function M.obstacle()
  local _, why = find.serve()
  return why
    or given_up
    or (resting and 'the server crashed and is about to be started again.' or nil)
end

---@param why string
local function give_up(why)
  given_up = why
    .. ' `:Redraft log` shows what it wrote, `:checkhealth redraft` looks for the cause, '
    .. '`:Redraft restart` tries again.'
  say.error(given_up)
end

local function start_again()
  resting = false
  if not given_up and vim.lsp.is_enabled('redraft') then
    vim.lsp.enable('redraft') -- once more: attaches the open buffers
  end
end

---@param how string
---@param served boolean whether it had answered `initialize`
local function crashed(how, served)
  if vim.v.exiting ~= vim.NIL then
    return
  end
  if not served then
    give_up(('the server could not be started (%s).'):format(how))
    return
  end
  local now = vim.uv.now()
  crashes = vim.tbl_filter(function(when)
    return now - when < WINDOW
  end, crashes)
  table.insert(crashes, now)
  if #crashes >= CRASHES then
    give_up(('the server crashed %d times in a few minutes (%s).'):format(#crashes, how))
    return
  end
  if #crashes == 1 then
    say.warn(('the server stopped unexpectedly (%s); starting it again.'):format(how))
  end
  resting = true
  vim.defer_fn(start_again, M.first_pause * 2 ^ (#crashes - 1))
end

--- Suggestions with the line ends that buffers have: a file with CRLF gets them with CRLF.
---@param result any
local function with_buffer_line_ends(result)
  for _, item in ipairs(type(result) == 'table' and (result.items or result) or {}) do
    if type(item.insertText) == 'string' then
      item.insertText = item.insertText:gsub('\r\n?', '\n')
    end
  end
end

--- `cmd` of the client: spawns the server, and stands between it and Neovim for two things only: a crash, of which
--- Neovim would tell each time, and line ends.
---@param dispatchers vim.lsp.rpc.Dispatchers
---@return vim.lsp.rpc.PublicClient
function M.spawn(dispatchers)
  local served, stopping = false, false
  local on_exit = dispatchers.on_exit
  dispatchers.on_exit = function(code, signal)
    -- SIGTERM is how Neovim ends a server that does not go by itself.
    local expected = stopping or code == 0 and (signal == 0 or signal == 15)
    if not expected then
      local how = signal ~= 0 and ('signal %d'):format(signal) or ('exit code %d'):format(code)
      vim.schedule(function()
        crashed(how, served)
      end)
    end
    on_exit(0, 0)
  end
  local command = assert(find.serve())
  -- With `-I` these say nothing new; a `redraft` script of some other kind must not look into the workspace either.
  local rpc =
    vim.lsp.rpc.start(command, dispatchers, { env = { PYTHONPATH = '', PYTHONSAFEPATH = '1' } })
  local request = rpc.request
  rpc.request = function(method, params, callback, ...)
    stopping = stopping or method == 'shutdown'
    return request(method, params, function(err, result, ...)
      served = served or method == 'initialize' and not err
      if method == 'textDocument/inlineCompletion' then
        with_buffer_line_ends(result)
      end
      return callback(err, result, ...)
    end, ...)
  end
  local terminate = rpc.terminate
  rpc.terminate = function(...)
    stopping = true
    return terminate(...)
  end
  return rpc
end

--- Stop what runs, forget what happened, start afresh.
function M.restart()
  crashes, given_up, resting = {}, nil, false
  local clients = vim.lsp.get_clients({ name = 'redraft' })
  for _, client in ipairs(clients) do
    client:stop()
  end
  local left = 100
  local function when_gone()
    left = left - 1
    local alive = vim.lsp.get_clients({ name = 'redraft' })
    if #alive > 0 and left > 0 then
      if left == 50 then -- five seconds: it does not go by itself
        for _, client in ipairs(alive) do
          client:stop(true)
        end
      end
      vim.defer_fn(when_gone, 100)
      return
    end
    vim.lsp.enable('redraft')
  end
  when_gone()
end

return M
