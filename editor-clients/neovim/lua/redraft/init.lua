--- What configurations and mappings use. Everything else in this folder is private.

local M = {}

--- Change how the plugin works. Optional: without it the defaults hold. See |redraft-options|.
---@param options? redraft.Options
function M.setup(options)
  if vim.fn.has('nvim-0.11') == 0 then
    return -- plugin/redraft.lua has said so
  end
  require('redraft.options').set(options or {})
  -- The file lsp/redraft.lua may have been read already.
  vim.lsp.config('redraft', require('redraft.client').adjustable())
end

--- One short text about the current buffer for a statusline; empty where Redraft is not at work.
---@return string
function M.status()
  return require('redraft.status').line(vim.api.nvim_get_current_buf())
end

--- Take the suggestion at the cursor, or a part of it.
---@param part? 'all'|'word'|'line' default: all
---@return boolean taken false where there is no suggestion, so that a mapping can do something else
function M.accept(part)
  return require('redraft.inline').accept(part or 'all')
end

--- Hide the suggestion at the cursor.
---@return boolean hidden false where there was none
function M.dismiss()
  return require('redraft.inline').dismiss()
end

--- Repair the function at the cursor, or at the given lines.
---@param lines? [integer, integer] first and last, from 1
function M.fix(lines)
  require('redraft.actions').fix(lines)
end

--- Rewrite the file, or the given lines, as an instruction says; asks for one where there is none.
---@param instruction? string
---@param lines? [integer, integer] first and last, from 1
function M.refactor(instruction, lines)
  require('redraft.actions').refactor(instruction, lines)
end

--- Stop what the server is working on in this buffer.
function M.cancel()
  require('redraft.actions').cancel()
end

--- Switch Redraft off or on, as a whole or for one language.
---@param language? string a filetype
function M.toggle(language)
  require('redraft.settings').toggle(language)
end

--- Change the server's settings at once, e.g. `{ inline = { enable = false } }`.
---@param settings table
function M.configure(settings)
  require('redraft.settings').change(settings)
end

--- Stop the server and start it again; also after it crashed too often.
function M.restart()
  require('redraft.server').restart()
end

return M
