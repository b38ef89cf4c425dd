--- Fixes and refactorings of the current buffer: from what the user wants to the server's command. The edit itself
--- comes as a request of the server's, see edits.lua.

local client_of = require('redraft.client').of
local live = require('redraft.live')
local say = require('redraft.say')

local M = {}

--- The client for the current buffer if it may be changed; otherwise says why not.
---@return vim.lsp.Client?
---@return integer bufnr
local function ready()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client then
    say.warn(require('redraft.client').why_not(bufnr))
  elseif require('redraft.edits').protected(bufnr) then
    say.warn(require('redraft.edits').protected(bufnr) --[[@as string]])
    client = nil
  end
  return client, bufnr
end

--- The range of lines in LSP's terms; the cursor where there are none.
---@param bufnr integer
---@param lines? [integer, integer]
---@param client vim.lsp.Client
---@return lsp.Range
local function range_of(bufnr, lines, client)
  if not lines then
    return vim.lsp.util.make_range_params(0, client.offset_encoding).range
  end
  local last = vim.api.nvim_buf_get_lines(bufnr, lines[2] - 1, lines[2], false)[1] or ''
  return {
    start = { line = lines[1] - 1, character = 0 },
    ['end'] = { line = lines[2] - 1, character = vim.str_utfindex(last, client.offset_encoding) },
  }
end

---@param client vim.lsp.Client
---@param bufnr integer
---@param command string
---@param argument table
local function execute(client, bufnr, command, argument)
  argument.uri = vim.uri_from_bufnr(bufnr)
  client:request(
    'workspace/executeCommand',
    { command = command, arguments = { argument } },
    function(err)
      live.finish(argument.token)
      if err then
        say.failed(err)
      end
    end,
    bufnr
  )
end

---@param lines? [integer, integer]
function M.fix(lines)
  local client, bufnr = ready()
  if client then
    execute(client, bufnr, 'redraft.server.fix', { range = range_of(bufnr, lines, client) })
  end
end

---@param instruction string
---@param lines? [integer, integer]
local function refactor(instruction, lines)
  local client, bufnr = ready()
  if not client then
    return
  end
  require('redraft.instructions').remember(instruction)
  local command = lines and 'redraft.server.refactorSelection' or 'redraft.server.refactorFile'
  execute(client, bufnr, command, {
    instruction = instruction,
    range = lines and range_of(bufnr, lines, client),
    token = live.begin(client, bufnr),
  })
end

---@param instruction? string
---@param lines? [integer, integer]
function M.refactor(instruction, lines)
  if instruction and instruction:find('%S') then
    refactor(instruction, lines)
  elseif ready() then
    local prompt = lines and 'Refactor the lines: ' or 'Refactor the file: '
    local default = require('redraft.instructions').last()
    vim.ui.input({ prompt = prompt, default = default }, function(given)
      if given and given:find('%S') then
        refactor(given, lines)
      end
    end)
  end
end

function M.cancel()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client then
    say.warn(require('redraft.client').why_not(bufnr))
    return
  end
  live.hide(bufnr)
  local argument = { uri = vim.uri_from_bufnr(bufnr) }
  local params = { command = 'redraft.server.cancel', arguments = { argument } }
  client:request('workspace/executeCommand', params, function(err, result)
    if err then
      say.failed(err)
    else
      say.info(result.stopped > 0 and 'stopped.' or 'nothing was under way.')
    end
  end, bufnr)
end

return M
