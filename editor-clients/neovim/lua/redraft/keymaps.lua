--- Keys of insert mode, in buffers that Redraft serves only. The defaults never take the place of another
--- mapping; keys that the user named do, and do what they did before where there is no suggestion.

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

--- What the key does without us, as keys to be typed.
---@param key string
---@param map table a mapping as `maparg` tells of it; empty for none
---@return string
local function otherwise(key, map)
  if map.callback then
    local result = map.callback()
    return map.expr == 1 and result or ''
  elseif map.rhs then
    return map.expr == 1 and vim.api.nvim_eval(map.rhs) or map.rhs
  end
  return key
end

---@param bufnr integer
function M.attach(bufnr)
  vim.api.nvim_buf_call(bufnr, function()
    for key, name in pairs(wanted()) do
      local action = actions[name]
      local before = vim.fn.maparg(key, 'i', false, true)
      local is_ours = vim.startswith(before.desc or '', DESC)
      if action and not is_ours and (options.is_wish(name) or not next(before)) then
        vim.keymap.set('i', key, function()
          return action() and '' or otherwise(key, before)
        end, {
          buffer = bufnr,
          expr = true,
          remap = before.noremap == 0,
          desc = DESC .. name,
        })
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
