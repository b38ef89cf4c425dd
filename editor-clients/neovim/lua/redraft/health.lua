--- `:checkhealth redraft`.

local find = require('redraft.find')

local M = {}

local PATIENCE = 60000 -- milliseconds for `redraft doctor`, which may import PyTorch

---@return string
function M.log_file()
  local log = require('vim.lsp.log')
  return log.get_filename()
end

local function check_neovim()
  local version = tostring(vim.version())
  if vim.lsp.inline_completion then
    vim.health.ok(('Neovim %s shows suggestions by itself'):format(version))
  else
    vim.health.ok(('Neovim %s: suggestions are shown by the plugin'):format(version))
  end
end

---@param command string[]
---@return boolean ok
---@return string output
local function run(command)
  local ok, process = pcall(
    vim.system,
    command,
    { text = true, env = { PYTHONPATH = '' }, cwd = vim.fs.dirname(command[1]) }
  )
  if not ok then
    return false, tostring(process)
  end
  local result = process:wait(PATIENCE)
  return result.code == 0, vim.trim((result.stdout or '') .. (result.stderr or ''))
end

--- What `redraft doctor` found, line by line.
---@param command string[]
local function check_doctor(command)
  local _, output = run(vim.list_extend(vim.list_slice(command), { 'doctor' }))
  local found = false
  for line in vim.gsplit(output, '\n') do
    if line:match('^ok%s') then
      found = true
      vim.health.ok((line:gsub('^ok%s+', '')))
    elseif line:match('^BAD%s') then
      found = true
      vim.health.error((line:gsub('^BAD%s+', '')))
    end
  end
  if not found then
    vim.health.error('`redraft doctor` did not report anything: ' .. output)
  end
end

local function check_server()
  local found, why = find.server()
  if not found then
    vim.health.error(why or 'no server', { 'See :help redraft-server' })
    return
  end
  local ok, version = run(vim.list_extend(vim.list_slice(found.command), { '--version' }))
  if not ok then
    vim.health.error(('`%s` does not run: %s'):format(table.concat(found.command, ' '), version))
    return
  end
  vim.health.ok(
    ('%s: `%s`, from %s'):format(version, table.concat(found.command, ' '), found.where)
  )
  check_doctor(found.command)
end

--- The buffer from which `:checkhealth` was called.
---@return integer
local function previous()
  local alternate = vim.fn.bufnr('#')
  return alternate > 0 and alternate or vim.api.nvim_get_current_buf()
end

local function check_clients()
  local obstacle = require('redraft.server').obstacle()
  local clients = vim.lsp.get_clients({ name = 'redraft' })
  for _, client in ipairs(clients) do
    local buffers = #vim.tbl_keys(client.attached_buffers)
    local status = require('redraft.status').of(client.id) or { state = 'starting' }
    local text = ('client %d: %s, buffers: %d, root: %s'):format(
      client.id,
      status.state,
      buffers,
      client.root_dir or 'none'
    )
    if status.state == 'error' then
      vim.health.error(text .. ': ' .. status.message)
    else
      vim.health.ok(text)
    end
  end
  local bufnr = previous()
  local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(bufnr), ':~:.')
  if #clients == 0 and obstacle then
    vim.health.error(obstacle)
  elseif #vim.lsp.get_clients({ name = 'redraft', bufnr = bufnr }) == 0 then
    vim.health.info(
      ('not attached to %s: %s'):format(name, require('redraft.client').why_not(bufnr))
    )
  end
  vim.health.info('log: ' .. M.log_file())
end

function M.check()
  vim.health.start('redraft: Neovim')
  check_neovim()
  vim.health.start('redraft: server')
  check_server()
  vim.health.start('redraft: clients')
  check_clients()
end

return M
