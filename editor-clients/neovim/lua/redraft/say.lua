--- Messages to the user, each once: the server may say what an error already told.

local M = {}

M.quiet = 3000 -- milliseconds in which the same words are not said again
local said = {} ---@type table<string, number>
local latest = -math.huge

---@param text string
---@param level integer
local function say(text, level)
  if not vim.startswith(text, 'Redraft') then
    text = 'Redraft: ' .. text
  end
  local now = vim.uv.now()
  if said[text] and now - said[text] < M.quiet then
    return
  end
  said[text], latest = now, now
  vim.schedule(function()
    vim.notify(text, level)
  end)
end

---@param text string
function M.info(text)
  say(text, vim.log.levels.INFO)
end

---@param text string
function M.warn(text)
  say(text, vim.log.levels.WARN)
end

---@param text string
function M.error(text)
  say(text, vim.log.levels.ERROR)
end

-- An error of these codes is no news: the user or the server has given up the work himself.
local CANCELLED = { [-32800] = true, [-32801] = true, [-32802] = true }

--- What became of a request.
---@param err lsp.ResponseError
function M.failed(err)
  if not CANCELLED[err.code] then
    M.error(err.message)
  end
end

--- Whether a message may not have been read yet.
---@return boolean
function M.just_said()
  return vim.uv.now() - latest < 2000
end

return M
