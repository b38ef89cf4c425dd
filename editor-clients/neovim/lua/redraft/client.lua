--- What Neovim's LSP client is told about Redraft, and what happens when a buffer is attached.

local handlers = require('redraft.handlers')
local options = require('redraft.options')
local say = require('redraft.say')
local server = require('redraft.server')

local M = {}

-- Servers before these commands had others.
local NEEDED = { 'redraft.server.fix', 'redraft.server.refactorFile', 'redraft.server.cancel' }

--- Only what Redraft does, and what older versions of Neovim do not announce by themselves.
local capabilities = {
  textDocument = { inlineCompletion = { dynamicRegistration = false } },
  workspace = {
    workspaceEdit = { documentChanges = true, changeAnnotationSupport = { groupsOnLabel = false } },
  },
}

--- Where a buffer belongs; not calling `on_dir` means that no server is started for it.
---@param bufnr integer
---@param on_dir fun(root?: string)
local function root_dir(bufnr, on_dir)
  if vim.bo[bufnr].buftype ~= '' then
    return
  end
  local why = server.obstacle()
  if why then
    M.say_obstacle(why)
    return
  end
  on_dir(vim.fs.root(bufnr, { '.git' }))
end

local last_obstacle = nil ---@type string?

--- Opening ten files must not say ten times that there is no server.
---@param why string
function M.say_obstacle(why)
  if why ~= last_obstacle then
    last_obstacle = why
    say.warn(why)
  end
end

---@param client vim.lsp.Client
local function on_init(client)
  local commands = vim.tbl_get(client.server_capabilities, 'executeCommandProvider', 'commands')
    or {}
  local inline = client.server_capabilities.inlineCompletionProvider
  for _, name in ipairs(NEEDED) do
    if not vim.list_contains(commands, name) or not inline then
      local version = vim.tbl_get(client, 'server_info', 'version') or 'unknown'
      say.error(
        ('the server (version %s) is older than this plugin needs: update it.'):format(version)
      )
      client:stop()
      return
    end
  end
end

---@param event { buf: integer, data: { client_id: integer } }
local function attached(event)
  local client = vim.lsp.get_client_by_id(event.data.client_id)
  if client and client.name == 'redraft' then
    require('redraft.highlights').define()
    require('redraft.inline').attach(client, event.buf)
    require('redraft.keymaps').attach(event.buf)
  end
end

---@param event { buf: integer, data: { client_id: integer } }
local function detached(event)
  local client = vim.lsp.get_client_by_id(event.data.client_id)
  if client and client.name == 'redraft' then
    require('redraft.inline').detach(event.buf)
    require('redraft.live').hide(event.buf)
    require('redraft.keymaps').detach(event.buf)
    require('redraft.status').forget(client.id)
  end
end

--- What `setup` decides.
---@return vim.lsp.Config
function M.adjustable()
  return {
    filetypes = options.get().filetypes,
    settings = require('redraft.settings').initial(),
  }
end

--- The whole configuration.
---@return vim.lsp.Config
function M.config()
  local group = vim.api.nvim_create_augroup('redraft', {})
  vim.api.nvim_create_autocmd('LspAttach', { group = group, callback = attached })
  vim.api.nvim_create_autocmd('LspDetach', { group = group, callback = detached })
  require('redraft.status').watch(group)
  return vim.tbl_extend('error', M.adjustable(), {
    cmd = server.spawn,
    root_dir = root_dir,
    capabilities = capabilities,
    handlers = handlers.all,
    on_init = on_init,
    -- The server measures the rhythm of typing by the changes it hears of, so they must not be held back.
    flags = { debounce_text_changes = 0 },
  })
end

--- The client that serves a buffer.
---@param bufnr integer
---@return vim.lsp.Client?
function M.of(bufnr)
  return vim.lsp.get_clients({ bufnr = bufnr, name = 'redraft' })[1]
end

--- Why no client serves a buffer, in words for people.
---@param bufnr integer
---@return string
function M.why_not(bufnr)
  local filetype = vim.bo[bufnr].filetype
  local why = server.obstacle()
  if vim.bo[bufnr].buftype ~= '' then
    return 'this is not a file.'
  elseif not vim.list_contains(vim.lsp.config.redraft.filetypes or { filetype }, filetype) then
    return ("it is not set up for the filetype '%s' (option `filetypes`)."):format(filetype)
  elseif not vim.lsp.is_enabled('redraft') then
    return "it is not enabled: vim.lsp.enable('redraft')."
  end
  return why or 'the server is still starting, or has just stopped; try again.'
end

return M
