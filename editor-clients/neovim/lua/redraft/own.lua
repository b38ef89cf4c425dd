--- Asking for suggestions and showing them ourselves, where Neovim does not (0.11).

local ghost = require('redraft.ghost')

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC = 2 -- lsp.InlineCompletionTriggerKind

local asked = nil ---@type { client: vim.lsp.Client, id: integer }?

local function stop_asking()
  if asked then
    asked.client:cancel_request(asked.id)
    asked = nil
  end
end

---@param place redraft.Place
---@param client vim.lsp.Client
---@param answer lsp.InlineCompletionItem
---@return redraft.Item
local function item_of(place, client, answer)
  local function byte(position)
    return vim.str_byteindex(place.line, client.offset_encoding, position.character, false)
  end
  local range = answer.range
  local first = range and byte(range.start) or place.col
  local last = range and byte(range['end']) or place.col
  local text = answer.insertText --[[@as string]]
  return ghost.item(place, text, first, last, client.id, answer.command)
end

--- The server waits until typing rests, so every change may ask at once.
---@param client vim.lsp.Client
---@param bufnr integer
local function ask(client, bufnr)
  stop_asking()
  local place = ghost.here()
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(bufnr) },
    position = vim.lsp.util.make_position_params(0, client.offset_encoding).position,
    context = { triggerKind = AUTOMATIC },
  }
  local ok, id
  ok, id = client:request(METHOD, params, function(err, result)
    if asked and asked.id == id then
      asked = nil
    end
    local answer = not err and result and (result.items or result)[1]
    -- Whether it still fits what was typed meanwhile, `show` sees.
    if answer and vim.api.nvim_get_mode().mode:sub(1, 1) == 'i' then
      ghost.show(item_of(place, client, answer))
    end
  end, bufnr)
  asked = ok and id and { client = client, id = id } or nil
end

---@param client vim.lsp.Client
---@param bufnr integer
---@param group integer
function M.attach(client, bufnr, group)
  local tick = -1 -- of the text for which a suggestion was asked or shown

  local function on(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = bufnr, callback = callback })
  end

  local function changed()
    local now = vim.api.nvim_buf_get_changedtick(bufnr)
    if not ghost.refresh() and now ~= tick then
      ask(client, bufnr)
    end
    tick = now
  end

  on('InsertEnter', function()
    tick = -1
    changed()
  end)
  on({ 'TextChangedI', 'TextChangedP' }, changed)
  on('CursorMovedI', function()
    ghost.refresh() -- a cursor that only moves away ends it
  end)
  on('InsertLeave', stop_asking)
end

--- What is shown is taken by inline.lua: there is nothing else here.
---@return boolean
function M.accept()
  return false
end

---@return boolean
function M.dismiss()
  stop_asking()
  return false
end

return M
