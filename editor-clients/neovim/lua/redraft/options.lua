--- The plugin's options: defaults, and what `setup` was given. Knows nothing of the server.

local say = require('redraft.say')

---@class redraft.Options
---@field cmd? string[] how to start the server; default: found, see |redraft-server|
---@field filetypes? string[] where it works
---@field settings? table what the server calls `redraft.*`, in its own spelling
---@field keymaps? false|table<string, string|string[]|false> insert mode keys of `accept`, `word`, `line`, `dismiss`
---@field ghost_text? 'auto'|'builtin'|'own'|false who shows suggestions: Neovim (0.12 and newer) or the plugin
---@field preview? boolean show a refactoring as a diff before it is applied
---@field live_preview? boolean show how a refactoring comes about, step by step

local M = {}

---@type redraft.Options
local defaults = {
  filetypes = {
    'python',
    'javascript',
    'javascriptreact',
    'typescript',
    'typescriptreact',
    'go',
    'rust',
    'java',
    'c',
    'cpp',
  },
  settings = {},
  -- Keys that insert mode hardly uses; without a suggestion they do what they always did.
  keymaps = { accept = '<C-l>', word = { '<M-w>', '<M-Right>' }, line = '<M-e>', dismiss = '<M-q>' },
  ghost_text = 'auto',
  preview = true,
  live_preview = true,
}

local types = {
  cmd = 'table',
  filetypes = 'table',
  settings = 'table',
  keymaps = 'table',
  ghost_text = 'string',
  preview = 'boolean',
  live_preview = 'boolean',
}
local may_be_false = { keymaps = true, ghost_text = true }

local current = vim.deepcopy(defaults)
local asked_for = {} ---@type table<string, any> the keymaps that `setup` was given

--- Take over what the user wants. What is wrong is named, and its default stays.
---@param given redraft.Options
function M.set(given)
  current, asked_for = vim.deepcopy(defaults), {}
  for key, value in pairs(given) do
    if not types[key] then
      local known = table.concat(vim.fn.sort(vim.tbl_keys(types)), ', ')
      say.warn(('setup: there is no option `%s`; known: %s.'):format(key, known))
    elseif type(value) ~= types[key] and not (may_be_false[key] and value == false) then
      say.warn(('setup: `%s` is a %s, not a %s.'):format(key, types[key], type(value)))
    elseif key == 'keymaps' and value then
      asked_for = value
      current.keymaps = vim.tbl_extend('force', defaults.keymaps, value)
    else
      current[key] = vim.deepcopy(value)
    end
  end
end

---@return redraft.Options
function M.get()
  return current
end

--- Whether the user named the keys of an action, so that they may take the place of another mapping.
---@param action string
---@return boolean
function M.is_wish(action)
  return asked_for[action] ~= nil
end

return M
