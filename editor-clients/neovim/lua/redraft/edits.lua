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

--- Whether a buffer has another text than the one that a change was made for.
---@param bufnr integer
---@param change lsp.TextDocumentEdit
---@return boolean
function M.is_outdated(bufnr, change)
  local version = change.textDocument.version
  local now = vim.lsp.util.buf_versions[bufnr]
  return version and version ~= vim.NIL and now and now ~= version or false
end

---@param bufnr integer
---@param change lsp.TextDocumentEdit
---@return string?
local function obstacle(bufnr, change)
  if not vim.api.nvim_buf_is_loaded(bufnr) then
    return name_of(bufnr) .. ' was closed meanwhile.'
  elseif M.is_outdated(bufnr, change) then
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

--- Apply a change, after a look at it where that is wished. To be called in a coroutine: it may take its time.
---@param change lsp.TextDocumentEdit
---@param label string
---@param look boolean
---@param encoding string
---@return boolean applied
---@return string? why not
function M.offer(change, label, look, encoding)
  local bufnr = vim.uri_to_bufnr(change.textDocument.uri)
  local edits = plain(change.edits)
  local why = obstacle(bufnr, change)
  if not why and look then
    local decided = preview.ask(label, bufnr, lines_after(bufnr, edits, encoding))
    if decided == 'reject' then
      return false, 'rejected; nothing was changed.'
    end
    why = obstacle(bufnr, change)
  end
  if why then
    return false, why
  end
  apply(bufnr, edits, encoding)
  return true
end

--- Neovim runs this in a coroutine of its own and sends what it returns.
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
  local label, look = params.label or 'Redraft', needs_look(params.edit)
  local applied, why = M.offer(change, label, look, client.offset_encoding)
  return { applied = applied, failureReason = why }
end

return M
