--- A suggestion of our own: what it is, whether it still fits what is being typed, how it is shown and taken.
---
--- It stays valid while its beginning is typed, so taking a word or a line is typing that part for the user.

local edits = require('redraft.edits')
local parts = require('redraft.parts')

local M = {}

local namespace = vim.api.nvim_create_namespace('redraft.ghost')

---@class redraft.Place where the cursor was when a suggestion was asked for
---@field bufnr integer
---@field row integer from 0
---@field col integer in bytes
---@field line string

---@class redraft.Item
---@field bufnr integer
---@field row integer where its text begins
---@field col integer
---@field text string what shall stand there
---@field tail string what it replaces after the cursor
---@field after string what follows that on the line
---@field command? lsp.Command to be sent when all of it was taken
---@field client_id integer

local current = nil ---@type redraft.Item?

--- Where the cursor is.
---@return redraft.Place
function M.here()
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  return {
    bufnr = vim.api.nvim_get_current_buf(),
    row = row - 1,
    col = col,
    line = vim.api.nvim_get_current_line(),
  }
end

--- The server's answer as an item; nil where there is none to show. `first` and `last` are the bytes of the line that
--- are replaced: the cursor is among them.
---@param place redraft.Place
---@param text string
---@param first integer
---@param last integer
---@param client_id integer
---@param command? lsp.Command
---@return redraft.Item
function M.item(place, text, first, last, client_id, command)
  return {
    bufnr = place.bufnr,
    row = place.row,
    col = first,
    text = text,
    tail = place.line:sub(place.col + 1, last),
    after = place.line:sub(last + 1),
    client_id = client_id,
    command = command,
  }
end

--- What is left of an item at the cursor; nil if it does not fit there any more.
---@param item redraft.Item
---@return string? rest
---@return redraft.Place here
local function rest_of(item)
  local here = M.here()
  local ahead = here.row > item.row or (here.row == item.row and here.col >= item.col)
  if
    here.bufnr ~= item.bufnr
    or not ahead
    or here.line:sub(here.col + 1) ~= item.tail .. item.after
  then
    return nil, here
  end
  local typed = vim.api.nvim_buf_get_text(0, item.row, item.col, here.row, here.col, {})
  local begun = table.concat(typed, '\n')
  local rest = item.text:sub(#begun + 1)
  return item.text:sub(1, #begun) == begun and rest ~= '' and rest or nil, here
end

---@param bufnr integer
local function erase(bufnr)
  if vim.api.nvim_buf_is_valid(bufnr) then
    vim.api.nvim_buf_clear_namespace(bufnr, namespace, 0, -1)
  end
end

---@param here redraft.Place
---@param rest string
---@param tail string
local function draw(here, rest, tail)
  if #tail < #rest and vim.endswith(rest, tail) then
    rest = rest:sub(1, #rest - #tail) -- that stands there already
  end
  local blanks = (' '):rep(vim.bo.tabstop)
  local lines = {}
  for line in vim.gsplit(rest:gsub('\t', blanks), '\n', { plain = true }) do
    table.insert(lines, { { line, 'RedraftGhost' } })
  end
  erase(here.bufnr)
  vim.api.nvim_buf_set_extmark(here.bufnr, namespace, here.row, here.col, {
    virt_text = table.remove(lines, 1),
    virt_text_pos = 'inline',
    virt_lines = lines,
    hl_mode = 'combine',
  })
end

--- Draw what is left at the cursor, or drop the suggestion.
---@return boolean shown
function M.refresh()
  if not current then
    return false
  end
  local rest, here = rest_of(current)
  if rest then
    draw(here, rest, current.tail)
  else
    M.clear()
  end
  return rest ~= nil
end

---@param item redraft.Item
---@return boolean shown
function M.show(item)
  M.clear()
  current = item
  return M.refresh()
end

---@return boolean cleared false where nothing was shown
function M.clear()
  local item = current
  current = nil
  if item then
    erase(item.bufnr)
  end
  return item ~= nil
end

---@return boolean
function M.is_shown()
  return current ~= nil
end

---@param item redraft.Item
local function tell_taken(item)
  local client = vim.lsp.get_client_by_id(item.client_id)
  if client and item.command then
    client:exec_cmd(item.command, { bufnr = item.bufnr })
  end
end

--- Write `text` at the cursor in place of `replaced` bytes, as an undo step of its own.
---@param here redraft.Place
---@param text string
---@param replaced integer
local function write(here, text, replaced)
  local lines = vim.split(text, '\n', { plain = true })
  edits.break_undo(here.bufnr)
  vim.api.nvim_buf_set_text(here.bufnr, here.row, here.col, here.row, here.col + replaced, lines)
  local col = #lines[#lines] + (#lines == 1 and here.col or 0)
  vim.api.nvim_win_set_cursor(0, { here.row + #lines, col })
  edits.break_undo(here.bufnr)
end

--- Take an item, or its next part; what is left is shown.
---@param item redraft.Item
---@param part 'all'|'word'|'line'
---@return boolean taken false where it does not fit any more
function M.take(item, part)
  local rest, here = rest_of(item)
  if not rest then
    M.clear()
    return false
  end
  local text = parts.first(rest, part)
  local whole = text == rest
  write(here, text, whole and #item.tail or 0)
  if whole then
    M.clear()
    tell_taken(item)
  else
    M.show(item)
  end
  return true
end

--- Take what is shown.
---@param part 'all'|'word'|'line'
---@return boolean taken
function M.take_shown(part)
  return current ~= nil and M.take(current, part)
end

return M
