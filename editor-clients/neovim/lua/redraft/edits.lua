--- `workspace/applyEdit`: the server's edits, each as one undo step, after a look at the diff where one is asked for.

local preview = require('redraft.preview')

local M = {}

---@param bufnr integer
---@return string
local function name_of(bufnr)
  return vim.fn.fnamemodify(vim.api.nvim_buf_get_name(bufnr), ':~:.')
end

--- Why a buffer is not to be changed; nil if it may be.
---@param bufnr integer
---@return string?
function M.protected(bufnr)
  if not vim.bo[bufnr].modifiable then
    return name_of(bufnr) .. " is not modifiable (option 'modifiable')."
  elseif vim.bo[bufnr].readonly then
    return name_of(bufnr) .. " is read-only (option 'readonly')."
  end
end

---@param bufnr integer
---@param change lsp.TextDocumentEdit
---@return string?
local function obstacle(bufnr, change)
  if not vim.api.nvim_buf_is_loaded(bufnr) then
    return name_of(bufnr) .. ' was closed meanwhile.'
  end
  local version = change.textDocument.version
  local now = vim.lsp.util.buf_versions[bufnr]
  if version and version ~= vim.NIL and now and now ~= version then
    return 'the document has changed.'
  end
  return M.protected(bufnr)
end

--- The lines of a buffer as the edits would leave them.
---@param bufnr integer
---@param edits lsp.TextEdit[]
---@param encoding string
---@return string[]
local function lines_after(bufnr, edits, encoding)
  local scratch = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(scratch, 0, -1, false, vim.api.nvim_buf_get_lines(bufnr, 0, -1, false))
  vim.lsp.util.apply_text_edits(vim.deepcopy(edits), scratch, encoding)
  local lines = vim.api.nvim_buf_get_lines(scratch, 0, -1, false)
  vim.api.nvim_buf_delete(scratch, { force = true })
  return lines
end

--- From here on changes are another undo step.
---@param bufnr integer
function M.break_undo(bufnr)
  vim.bo[bufnr].undolevels = vim.bo[bufnr].undolevels
end

---@param bufnr integer
---@param edits lsp.TextEdit[]
---@param encoding string
local function apply(bufnr, edits, encoding)
  M.break_undo(bufnr)
  vim.lsp.util.apply_text_edits(edits, bufnr, encoding)
  M.break_undo(bufnr)
end

--- The edits without their annotations: with them Neovim would ask in its own way whether to apply them.
---@param edits (lsp.TextEdit|lsp.AnnotatedTextEdit)[]
---@return lsp.TextEdit[]
local function plain(edits)
  return vim.tbl_map(function(edit)
    return { range = edit.range, newText = edit.newText }
  end, edits)
end

---@param edit lsp.WorkspaceEdit
---@return boolean
local function needs_look(edit)
  for _, annotation in pairs(edit.changeAnnotations or {}) do
    if annotation.needsConfirmation then
      return true
    end
  end
  return false
end

--- Neovim runs this in a coroutine of its own and sends what it returns, so it may take its time.
---@param params lsp.ApplyWorkspaceEditParams
---@param ctx lsp.HandlerContext
---@return lsp.ApplyWorkspaceEditResult
function M.handle(params, ctx)
  local client = assert(vim.lsp.get_client_by_id(ctx.client_id))
  local changes = params.edit.documentChanges or {}
  local change = changes[1]
  if #changes ~= 1 or not change.edits then
    return { applied = false, failureReason = 'an edit of one file was expected.' }
  end
  ---@cast change lsp.TextDocumentEdit
  local bufnr = vim.uri_to_bufnr(change.textDocument.uri)
  require('redraft.live').hide(bufnr) -- what the diff shows now
  local edits = plain(change.edits)
  local why = obstacle(bufnr, change)
  if not why and needs_look(params.edit) then
    local after = lines_after(bufnr, edits, client.offset_encoding)
    local decided = preview.ask(params.label or 'Redraft', bufnr, after)
    if decided == 'reject' then
      return { applied = false, failureReason = 'rejected; nothing was changed.' }
    end
    why = obstacle(bufnr, change)
  end
  if why then
    return { applied = false, failureReason = why }
  end
  apply(bufnr, edits, client.offset_encoding)
  return { applied = true }
end

return M
