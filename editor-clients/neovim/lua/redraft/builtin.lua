--- Neovim's own inline completion (0.12): switching it on for our client, and taking parts of what it shows.
---
--- It knows no parts. After one was taken the rest is shown by ghost.lua until Neovim has asked again, which takes it
--- 200 ms. And while somebody types it shows, and would insert, an outdated suggestion at its old place: whether it
--- still fits is checked here.

local ghost = require('redraft.ghost')

local M = {}

local METHOD = 'textDocument/inlineCompletion'

local places = {} ---@type table<integer, redraft.Place> where each request was made
local answered = nil ---@type redraft.Place? where the answer was asked for that Neovim shows

---@param client vim.lsp.Client
---@param bufnr integer
---@param group integer
function M.attach(client, bufnr, group)
  vim.lsp.inline_completion.enable(true, { bufnr = bufnr, client_id = client.id })
  vim.api.nvim_create_autocmd('LspRequest', {
    group = group,
    buffer = bufnr,
    callback = function(event)
      local data = event.data
      if data.client_id ~= client.id or data.request.method ~= METHOD then
        return
      end
      if data.request.type == 'pending' then
        places[data.request_id] = ghost.here()
        return
      end
      answered = places[data.request_id]
      places[data.request_id] = nil
      if data.request.type == 'complete' then
        ghost.clear() -- Neovim takes over
      end
    end,
  })
  vim.api.nvim_create_autocmd({ 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, {
    group = group,
    buffer = bufnr,
    callback = function()
      ghost.refresh()
    end,
  })
end

--- Neovim's item as one of ours.
---@param item vim.lsp.inline_completion.Item
---@return redraft.Item?
local function convert(item)
  local place = answered
  if not place or place.bufnr ~= vim.api.nvim_get_current_buf() or not item.range then
    return nil
  end
  local row, first, _, last = item.range:to_extmark()
  local text = item.insert_text --[[@as string]]
  return row == place.row and ghost.item(place, text, first, last, item.client_id, item.command)
    or nil
end

---@param part 'all'|'word'|'line'
---@return boolean taken
function M.accept(part)
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      local client = vim.lsp.get_client_by_id(item.client_id)
      if not client or client.name ~= 'redraft' then
        return part == 'all' and item or nil -- of another server: Neovim's matter
      end
      local ours = convert(item)
      if ours then
        ghost.take(ours, part)
      end
    end,
  })
end

---@return boolean hidden
function M.dismiss()
  return vim.lsp.inline_completion.get({
    on_accept = function() end,
  })
end

return M
