--- What the server is doing, as its `redraft/status` notification and its progress say.

local say = require('redraft.say')

local M = {}

---@class redraft.Status
---@field state 'loading'|'ready'|'busy'|'paused'|'error'
---@field message string
---@field percentage? integer while loading

---@class redraft.Work
---@field title string
---@field percentage? integer
---@field detail? string
---@field cancellable? boolean

local states = {} ---@type table<integer, redraft.Status> by client
local works = {} ---@type table<integer, table<string|integer, redraft.Work>> by client and progress token

local function changed()
  vim.api.nvim_exec_autocmds('User', { pattern = 'RedraftStatus', modeline = false })
  vim.schedule(function()
    vim.cmd.redrawstatus({ bang = true })
  end)
end

---@param client_id integer
---@param status redraft.Status
function M.set(client_id, status)
  states[client_id] = status
  changed()
end

---@param client_id integer
function M.forget(client_id)
  if not vim.lsp.get_client_by_id(client_id) then
    states[client_id], works[client_id] = nil, nil
    changed()
  end
end

---@param client_id integer
---@return redraft.Status?
function M.of(client_id)
  return states[client_id]
end

--- A work after another message of its progress; nil when it is over.
---@param value { kind: string, title?: string, percentage?: integer, cancellable?: boolean }
---@param before? redraft.Work
---@return redraft.Work?
local function work(value, before)
  if value.kind == 'end' then
    return nil
  end
  before = before or { title = '' }
  return {
    title = (value.title or before.title):gsub('^Redraft: ', ''),
    percentage = value.percentage or before.percentage,
    cancellable = value.kind == 'begin' and value.cancellable or before.cancellable,
    detail = before.detail,
  }
end

---@param now redraft.Work
---@return string
local function words(now)
  local percentage = now.percentage and (' %d%%'):format(now.percentage) or ''
  return 'Redraft: ' .. now.title .. percentage .. (now.detail and ': ' .. now.detail or '')
end

local HINT = ' (:Redraft cancel stops it)'

--- Words and the hint in one line: a longer text would have to be dismissed by a key.
---@param now redraft.Work
---@return string
local function in_one_line(now)
  local space = vim.v.echospace - #HINT
  local text = words(now)
  if vim.fn.strdisplaywidth(text) > space then
    local over = vim.fn.strdisplaywidth(text) - space + 1
    local title = vim.fn.strcharpart(now.title, 0, math.max(0, vim.fn.strchars(now.title) - over))
    text = words(vim.tbl_extend('force', now, { title = title .. '…' }))
  end
  return text .. HINT
end

--- Show in the command line what the user waits for, and that he need not.
---@param now? redraft.Work
---@param before? redraft.Work
local function echo(now, before)
  if vim.api.nvim_get_mode().mode ~= 'n' then
    return
  elseif now and now.cancellable then
    vim.api.nvim_echo({ { in_one_line(now) } }, false, {})
  elseif not now and before and before.cancellable and not say.just_said() then
    vim.api.nvim_echo({ { '' } }, false, {})
  end
end

---@param client_id integer
---@param token string|integer
---@param now? redraft.Work nil when it is over
local function report(client_id, token, now)
  works[client_id] = works[client_id] or {}
  local before = works[client_id][token]
  works[client_id][token] = now
  echo(now, before)
  changed()
end

--- Say more of what a client's server is working on.
---@param client_id integer
---@param detail string
function M.detail(client_id, detail)
  for token, now in pairs(works[client_id] or {}) do
    report(client_id, token, vim.tbl_extend('force', now, { detail = detail }))
  end
end

--- Follow the progress of our clients.
---@param group integer
function M.watch(group)
  vim.api.nvim_create_autocmd('LspProgress', {
    group = group,
    callback = function(event)
      local id = event.data.client_id
      local client = vim.lsp.get_client_by_id(id)
      if client and client.name == 'redraft' then
        local token, value = event.data.params.token, event.data.params.value
        report(id, token, work(value, (works[id] or {})[token]))
      end
    end,
  })
end

--- One line for a statusline; empty where no client is attached.
---@param bufnr integer
---@return string
function M.line(bufnr)
  local client = vim.lsp.get_clients({ bufnr = bufnr, name = 'redraft' })[1]
  if not client then
    return ''
  end
  local status = states[client.id]
  if not status then
    return 'Redraft: starting'
  elseif status.state == 'loading' then
    return ('Redraft: loading %d%%'):format(status.percentage or 0)
  elseif require('redraft.settings').is_off(client, vim.bo[bufnr].filetype) then
    return 'Redraft: off'
  end
  local _, current = next(works[client.id] or {})
  if current then
    return words(current)
  end
  return status.state == 'ready' and 'Redraft' or 'Redraft: ' .. status.state
end

return M
