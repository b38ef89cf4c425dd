--- Suggestions at the cursor, by whichever of the two ways shows them: Neovim's own (0.12) or ours.

local ghost = require('redraft.ghost')
local options = require('redraft.options')

local M = {}

---@return 'builtin'|'own'|false
local function way()
  local wanted = options.get().ghost_text
  local exists = vim.lsp.inline_completion ~= nil
  if wanted == 'auto' or (wanted == 'builtin' and not exists) then
    return exists and 'builtin' or 'own'
  end
  return wanted --[[@as 'builtin'|'own'|false]]
end

---@return table? module builtin.lua or own.lua
local function module()
  local chosen = way()
  return chosen and require('redraft.' .. chosen) or nil
end

---@param bufnr integer
---@return string
local function group_name(bufnr)
  return 'redraft.inline.' .. bufnr
end

---@param client vim.lsp.Client
---@param bufnr integer
function M.attach(client, bufnr)
  local shows = module()
  if not shows then
    return
  end
  local group = vim.api.nvim_create_augroup(group_name(bufnr), {})
  shows.attach(client, bufnr, group)
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = bufnr,
    callback = function()
      ghost.clear()
    end,
  })
end

---@param bufnr integer
function M.detach(bufnr)
  pcall(vim.api.nvim_del_augroup_by_name, group_name(bufnr))
  ghost.clear()
end

--- Take the suggestion at the cursor or a part of it. What is written comes a moment later, so that mappings with
--- `<expr>`, where the text is locked, may call this.
---@param part 'all'|'word'|'line'
---@return boolean taken
function M.accept(part)
  if ghost.is_shown() then
    vim.schedule(function()
      ghost.take_shown(part)
    end)
    return true
  end
  local shows = module()
  return shows ~= nil and shows.accept(part)
end

---@return boolean hidden
function M.dismiss()
  local shows = module()
  local was_there = shows ~= nil and shows.dismiss()
  return ghost.clear() or was_there
end

return M
