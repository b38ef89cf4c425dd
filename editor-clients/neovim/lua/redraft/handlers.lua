--- What the server sends by itself: messages, its status, edits.

local say = require('redraft.say')

local M = {}

-- lsp.MessageType
local LEVEL = { 'error', 'warn', 'info' }

---@type lsp.Handler
local function show_message(_, params)
  local level = LEVEL[params.type]
  if level then
    say[level](params.message)
  end
end

---@type lsp.Handler
local function step(_, params)
  require('redraft.live').step(params)
end

---@type lsp.Handler
local function status(_, params, ctx)
  require('redraft.status').set(ctx.client_id, params)
end

--- Outcomes of commands that nobody waits for: those of code actions.
---@type lsp.Handler
local function command_done(err)
  if err then
    say.failed(err)
  end
end

M.all = {
  ['window/showMessage'] = show_message,
  ['redraft/status'] = status,
  ['redraft/denoise'] = step,
  ['workspace/executeCommand'] = command_done,
  ['workspace/applyEdit'] = function(_, params, ctx)
    return require('redraft.edits').handle(params, ctx)
  end,
}

return M
