--- A refactoring shown while it is denoised: its command names a stream of `redraft/denoise`, and canvas.lua draws each
--- step. The edits come as ever. Steps fit the text that was asked about: when it changes, no more are drawn.

local canvas = require('redraft.canvas')
local status = require('redraft.status')

local M = {}

---@class redraft.Run
---@field client vim.lsp.Client
---@field bufnr integer
---@field token string names its steps

local runs = {} ---@type table<integer, redraft.Run> by buffer
local count = 0

---@param run redraft.Run
local function follow(run)
  -- The text is locked while Neovim tells of a change, hence a moment later.
  local function stop()
    vim.schedule(function()
      M.finish(run.token)
    end)
    return true -- enough of it
  end
  vim.api.nvim_buf_attach(run.bufnr, false, { on_lines = stop, on_reload = stop, on_detach = stop })
end

--- Draw what is to come in a buffer. The token that the command has to name; nil where that is not wished.
---@param client vim.lsp.Client
---@param bufnr integer
---@return string?
function M.begin(client, bufnr)
  if not require('redraft.options').get().live_preview then
    return nil
  end
  M.hide(bufnr)
  count = count + 1
  local run = { client = client, bufnr = bufnr, token = ('neovim %d'):format(count) }
  runs[bufnr] = run
  follow(run)
  return run.token
end

---@param cost { forwards: integer, tokensPerForward: number }
---@return string
local function figures(cost)
  local steps = ('step %d'):format(cost.forwards)
  if cost.tokensPerForward > 0 then
    return ('%s, %.1f tokens per step'):format(steps, cost.tokensPerForward)
  end
  return steps
end

--- A step, as the server tells of it.
---@param params { token: string, frames: redraft.Frame[], cost: table }
function M.step(params)
  for _, run in pairs(runs) do
    if run.token == params.token then
      for _, frame in ipairs(params.frames) do
        canvas.draw(run.bufnr, frame, run.client.offset_encoding)
      end
      status.detail(run.client.id, figures(params.cost))
    end
  end
end

--- Show no more of what is under way in a buffer. The server is not told.
---@param bufnr integer
function M.hide(bufnr)
  runs[bufnr] = nil
  canvas.clear(bufnr)
end

---@param token? string
function M.finish(token)
  for bufnr, run in pairs(runs) do
    if run.token == token then
      M.hide(bufnr)
    end
  end
end

return M
