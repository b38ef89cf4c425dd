--- Keys of insert mode, in buffers that Redraft serves only, and never over a mapping of the user's.

local options = require('redraft.options')

local M = {}

local DESC = 'Redraft: '

---@type table<string, fun(): boolean>
local actions = {
  accept = function()
    return require('redraft').accept('all')
  end,
  word = function()
    return require('redraft').accept('word')
  end,
  line = function()
    return require('redraft').accept('line')
  end,
  dismiss = function()
    return require('redraft').dismiss()
  end,
}

--- Each key with what it does.
---@return table<string, string>
local function wanted()
  local keys = {}
  for name, given in pairs(options.get().keymaps or {}) do
    for _, key in ipairs(type(given) == 'table' and given or { given or nil }) do
      keys[key] = name
    end
  end
  return keys
end

---@param key string
---@return boolean
local function is_users(key)
  return vim.fn.maparg(key, 'i') ~= ''
end

---@param bufnr integer
function M.attach(bufnr)
  vim.api.nvim_buf_call(bufnr, function()
    for key, name in pairs(wanted()) do
      local action = actions[name]
      if action and not is_users(key) then
        vim.keymap.set('i', key, function()
          return action() and '' or key
        end, { buffer = bufnr, expr = true, desc = DESC .. name })
      end
    end
  end)
end

---@param bufnr integer
function M.detach(bufnr)
  for _, map in ipairs(vim.api.nvim_buf_get_keymap(bufnr, 'i')) do
    if vim.startswith(map.desc or '', DESC) then
      pcall(vim.keymap.del, 'i', map.lhs, { buffer = bufnr })
    end
  end
end

return M
