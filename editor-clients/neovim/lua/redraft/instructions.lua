--- Instructions to choose from: those given in this session, and those that the server offers.

local client_of = require('redraft.client').of

local M = {}

local PATIENCE = 500 -- milliseconds that completing a command line may take
local KEPT = 20

local given = {} ---@type string[] the latest first

---@param instruction string
function M.remember(instruction)
  given = vim.tbl_filter(function(other)
    return other ~= instruction
  end, given)
  table.insert(given, 1, instruction)
  given[KEPT + 1] = nil
end

--- The instruction that was given last.
---@return string?
function M.last()
  return given[1]
end

--- The server's presets. They are its code actions, so they are asked for as such.
---@return string[]
local function offered()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = client_of(bufnr)
  if not client then
    return {}
  end
  local everything =
    { start = { line = 0, character = 0 }, ['end'] = { line = 1e6, character = 0 } }
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(bufnr) },
    range = everything,
    context = { diagnostics = {}, only = { 'refactor.rewrite' } },
  }
  local answer = client:request_sync('textDocument/codeAction', params, PATIENCE, bufnr)
  local found = {}
  for _, action in ipairs(answer and answer.result or {}) do
    local argument = vim.tbl_get(action, 'command', 'arguments', 1) or {}
    table.insert(found, argument.instruction)
  end
  return found
end

---@return string[]
function M.known()
  local all = vim.list_slice(given)
  for _, instruction in ipairs(offered()) do
    if not vim.list_contains(all, instruction) then
      table.insert(all, instruction)
    end
  end
  return all
end

return M
