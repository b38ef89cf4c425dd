--- The server's settings (`redraft.*`), which it asks for whenever it is told that they changed.

local options = require('redraft.options')
local say = require('redraft.say')

local M = {}

-- Where an empty Lua table means an object; everywhere else it is a list.
local TREES = { inline = { manners = {} }, fix = {}, refactor = {}, limits = {} }

---@param settings table
---@param trees? table
---@return table
local function for_json(settings, trees)
  for key, inner in pairs(trees or TREES) do
    if type(settings[key]) == 'table' then
      settings[key] = next(settings[key]) and for_json(settings[key], inner) or vim.empty_dict()
    end
  end
  return settings
end

--- What a client starts with.
---@return { redraft: table }
function M.initial()
  local given = options.get()
  -- The server marks a refactoring as to be confirmed; edits.lua shows those as a diff.
  local preview = { refactor = { needsConfirmation = given.preview } }
  return { redraft = for_json(vim.tbl_deep_extend('force', preview, given.settings)) }
end

---@param client vim.lsp.Client
---@return table
local function of(client)
  return vim.tbl_get(client.settings or {}, 'redraft') or {}
end

---@param client vim.lsp.Client
---@param language string
---@return boolean
function M.is_off(client, language)
  local settings = of(client)
  return settings.enable == false or vim.list_contains(settings.disabledLanguages or {}, language)
end

--- Merge `change` into the settings of every client, now and for clients to come.
---@param change table
function M.change(change)
  vim.lsp.config('redraft', { settings = { redraft = change } })
  for _, client in ipairs(vim.lsp.get_clients({ name = 'redraft' })) do
    local merged = for_json(vim.tbl_deep_extend('force', of(client), change))
    client.settings = vim.tbl_extend('force', client.settings or {}, { redraft = merged })
    client:notify('workspace/didChangeConfiguration', { settings = client.settings })
  end
  require('redraft.inline').dismiss()
end

--- What is set for clients to come.
---@return table
local function configured()
  return vim.tbl_get(vim.lsp.config.redraft or {}, 'settings', 'redraft') or {}
end

---@param language? string
function M.toggle(language)
  local client = vim.lsp.get_clients({ name = 'redraft' })[1]
  local now = client and of(client) or configured()
  if not language then
    local on = now.enable == false
    M.change({ enable = on })
    say.info(on and 'on.' or 'off.')
    return
  end
  local off = vim.deepcopy(now.disabledLanguages or {})
  local known = vim.list_contains(off, language)
  if known then
    off = vim.tbl_filter(function(other)
      return other ~= language
    end, off)
  else
    table.insert(off, language)
  end
  M.change({ disabledLanguages = off })
  say.info(('%s for %s.'):format(known and 'on' or 'off', language))
end

return M
