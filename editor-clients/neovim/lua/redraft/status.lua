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
  }
end

---@param now redraft.Work
---@return string
local function words(now)
  return 'Redraft: ' .. now.title .. (now.percentage and (' %d%%'):format(now.percentage) or '')
end

--- Show in the command line what the user waits for, and that he need not.
---@param now? redraft.Work
---@param before? redraft.Work
local function echo(now, before)
  if vim.api.nvim_get_mode().mode ~= 'n' then
    return
  elseif now and now.cancellable then
    vim.api.nvim_echo({ { words(now) .. ' (:Redraft cancel stops it)' } }, false, {})
  elseif not now and before and before.cancellable and not say.just_said() then
    vim.api.nvim_echo({ { '' } }, false, {})
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
        works[id] = works[id] or {}
        local before = works[id][token]
        works[id][token] = work(value, before)
        echo(works[id][token], before)
        changed()
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
