--- A refactoring that can be watched: `redraft/watch` sends each step of the denoising, canvas.lua draws it, and the
--- answer's edits are offered as a diff.
---
--- The edits fit the text that was asked about only. When it changes before they are applied, the refactoring is asked
--- for again as a command: then the server moves its edits along with what is typed.

local canvas = require('redraft.canvas')
local edits = require('redraft.edits')
local say = require('redraft.say')
local status = require('redraft.status')

local M = {}

local METHOD = 'redraft/watch'
local METHOD_NOT_FOUND = -32601
local namespace = vim.api.nvim_create_namespace('redraft.live.lines')

---@class redraft.Run
---@field client vim.lsp.Client
---@field bufnr integer
---@field instruction string
---@field token string names its steps
---@field request? integer
---@field mark? integer the lines to be refactored, which move with the text; nil for the whole file
---@field by_command fun(lines?: [integer, integer]) asks for it without watching

local runs = {} ---@type table<integer, redraft.Run> by buffer
local count = 0
local unable = {} ---@type table<integer, boolean> clients whose server knows no `redraft/watch`

--- Whether a refactoring shall be watched.
---@param client vim.lsp.Client
---@return boolean
function M.wanted(client)
  return require('redraft.options').get().live_preview and not unable[client.id]
end

---@param run redraft.Run
local function is_on(run)
  return runs[run.bufnr] == run
end

--- Stop drawing; what still arrives of the run is ignored.
---@param run redraft.Run
local function finish(run)
  if is_on(run) then
    runs[run.bufnr] = nil
  end
  canvas.clear(run.bufnr)
  status.report(run.client.id, run.token, nil)
end

---@param run redraft.Run
---@return [integer, integer]?
local function lines_of(run)
  if not run.mark then
    return nil
  end
  local row, _, details =
    unpack(vim.api.nvim_buf_get_extmark_by_id(run.bufnr, namespace, run.mark, { details = true }))
  return { row + 1, details.end_row + 1 }
end

---@param run redraft.Run
local function again(run)
  if vim.api.nvim_buf_is_loaded(run.bufnr) and not run.client:is_stopped() then
    run.by_command(lines_of(run))
  end
end

--- To be called in a coroutine.
---@param run redraft.Run
---@param answer { edits: lsp.TextEdit[], version: integer }
local function offer(run, answer)
  local uri = vim.uri_from_bufnr(run.bufnr)
  local change = { textDocument = { uri = uri, version = answer.version }, edits = answer.edits }
  local look = require('redraft.settings').needs_look(run.client)
  local label = 'Redraft: ' .. run.instruction
  local applied, why = edits.offer(change, label, look, run.client.offset_encoding)
  if applied then
    return
  elseif edits.is_outdated(run.bufnr, change) then
    again(run)
  else
    say.warn(why --[[@as string]])
  end
end

---@param run redraft.Run
---@param err? lsp.ResponseError
---@param answer? table
local function answered(run, err, answer)
  if not is_on(run) then
    return
  end
  finish(run)
  if err and err.code == METHOD_NOT_FOUND then
    unable[run.client.id] = true
    again(run)
  elseif err or not answer then
    say.failed(err or { code = 0, message = 'no answer.' })
  elseif answer.status == 'offered' then
    coroutine.wrap(offer)(run, answer)
  elseif answer.status ~= 'stopped' or answer.message:lower():find('out of time') then
    say.info(answer.message ~= '' and answer.message or 'nothing to change.')
  end
end

--- The end of a run whose text is changed or gone. Nothing more is drawn; the rest comes a moment later, since the
--- text is locked while Neovim tells of a change.
---@param run redraft.Run
---@param go_on boolean
local function interrupt(run, go_on)
  if not is_on(run) then
    return
  end
  runs[run.bufnr] = nil
  vim.schedule(function()
    if run.request then
      run.client:cancel_request(run.request)
    end
    finish(run)
    if go_on then
      again(run)
    end
  end)
end

---@param run redraft.Run
local function follow(run)
  vim.api.nvim_buf_attach(run.bufnr, false, {
    on_lines = function()
      interrupt(run, true)
      return true -- enough of it
    end,
    on_reload = function()
      interrupt(run, true)
    end,
    on_detach = function()
      interrupt(run, false)
    end,
  })
end

--- Refactor and show how it comes about.
---@param client vim.lsp.Client
---@param bufnr integer
---@param argument { instruction: string, range?: lsp.Range }
---@param lines? [integer, integer]
---@param by_command fun(lines?: [integer, integer])
function M.refactor(client, bufnr, argument, lines, by_command)
  if runs[bufnr] then
    interrupt(runs[bufnr], false)
  end
  count = count + 1
  local token = ('neovim %d'):format(count)
  ---@type redraft.Run
  local run = {
    client = client,
    bufnr = bufnr,
    instruction = argument.instruction,
    token = token,
    by_command = by_command,
  }
  if lines then
    local to = { end_row = lines[2] - 1 }
    run.mark = vim.api.nvim_buf_set_extmark(bufnr, namespace, lines[1] - 1, 0, to)
  end
  runs[bufnr] = run
  local params = { token = token, uri = vim.uri_from_bufnr(bufnr), task = 'refactor' }
  params = vim.tbl_extend('error', params, argument)
  local ok, id = client:request(METHOD, params, function(err, answer)
    answered(run, err, answer)
  end, bufnr)
  run.request = ok and id or nil
  follow(run)
  status.report(client.id, token, { title = argument.instruction, cancellable = true })
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
      local work = { title = run.instruction, detail = figures(params.cost), cancellable = true }
      status.report(run.client.id, run.token, work)
    end
  end
end

--- Show no more of what is under way in a buffer. The server is not told.
---@param bufnr integer
function M.hide(bufnr)
  if runs[bufnr] then
    finish(runs[bufnr])
  end
end

return M
