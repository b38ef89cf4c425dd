--- A region while it is being denoised, drawn over the buffer with extmarks: the text itself stays as it is.
---
--- The canvas' lines are matched with the buffer's. What differs is laid over the line, from its first difference on;
--- further lines stand below it as virtual ones; lines that the canvas lacks are struck out.

local M = {}

local namespace = vim.api.nvim_create_namespace('redraft.live')

local MASKS = { '░', '▒', '▓' } -- the darker, the surer is the network of its choice

---@alias redraft.Cell [string, 'mask'|'remasked'|'kept'|'committed'|'revised', number?] text, state, confidence
---@alias redraft.Chunk [string, string?] text, highlight group; none for what was there before

---@class redraft.Frame
---@field range lsp.Range of the region, in the text as it was asked about
---@field cells redraft.Cell[]

---@param cell redraft.Cell
---@return string text
---@return string? group
local function look(cell)
  local text, state, sure = unpack(cell, 1, 3)
  sure = type(sure) == 'number' and sure or 1
  if state == 'mask' or state == 'remasked' then
    return MASKS[math.min(#MASKS, math.floor(sure * #MASKS) + 1)], 'RedraftMask'
  elseif state == 'kept' then
    return text, nil
  end
  return text, sure < 0.5 and 'RedraftUnsure' or sure < 0.9 and 'RedraftLikely' or 'RedraftSure'
end

---@param cells redraft.Cell[]
---@param before string what stands before the region on its first line
---@param after string what stands behind it on its last
---@return redraft.Chunk[][]
local function lines_of(cells, before, after)
  local lines = { {} }
  local function add(text, group)
    for i, part in ipairs(vim.split(text:gsub('\r', ''), '\n', { plain = true })) do
      if i > 1 then
        table.insert(lines, {})
      end
      if part ~= '' then
        table.insert(lines[#lines], { part, group })
      end
    end
  end
  add(before)
  for _, cell in ipairs(cells) do
    add(look(cell))
  end
  add(after)
  return lines
end

---@param chunks redraft.Chunk[]
---@return string
local function text_of(chunks)
  return table.concat(vim.tbl_map(function(chunk)
    return chunk[1]
  end, chunks))
end

--- How many bytes two lines have in common at their beginning, in whole characters.
---@param one string
---@param other string
---@return integer
local function common(one, other)
  local length = 0
  while length < #one and one:byte(length + 1) == other:byte(length + 1) do
    length = length + 1
  end
  local function splits(text)
    local byte = text:byte(length + 1)
    return byte and byte >= 0x80 and byte < 0xC0
  end
  while length > 0 and (splits(one) or splits(other)) do
    length = length - 1
  end
  return length
end

--- Chunks as virtual text: new text is grey where nothing else is to be said about it.
---@param chunks redraft.Chunk[]
---@param bufnr integer
---@return redraft.Chunk[]
local function virtual(chunks, bufnr)
  local blanks = (' '):rep(vim.bo[bufnr].tabstop)
  return vim.tbl_map(function(chunk)
    return { (chunk[1]:gsub('\t', blanks)), chunk[2] or 'RedraftGhost' }
  end, chunks)
end

---@param bufnr integer
---@param row integer
---@param col integer
---@param details vim.api.keyset.set_extmark
local function mark(bufnr, row, col, details)
  details.strict = false
  vim.api.nvim_buf_set_extmark(bufnr, namespace, row, col, details)
end

--- Draw a line of the canvas over the line that it takes the place of.
---@param bufnr integer
---@param row integer
---@param old string
---@param chunks redraft.Chunk[]
local function draw_line(bufnr, row, old, chunks)
  local same = common(old, text_of(chunks))
  local over, col = {}, 0
  for _, chunk in ipairs(chunks) do
    local text, group = unpack(chunk, 1, 2)
    local inside = math.max(0, math.min(#text, same - col)) -- so much of it stands there already
    if group and inside > 0 then
      mark(bufnr, row, col, { end_col = col + inside, hl_group = group })
    end
    if inside < #text then
      table.insert(over, { text:sub(inside + 1), group })
    end
    col = col + #text
  end
  local hidden = vim.fn.strdisplaywidth(old:sub(same + 1)) - vim.fn.strdisplaywidth(text_of(over))
  if hidden > 0 then
    table.insert(over, { (' '):rep(hidden) })
  end
  if #over > 0 then
    mark(bufnr, row, same, { virt_text = virtual(over, bufnr), virt_text_pos = 'overlay' })
  end
end

--- The lines of a buffer that a frame's region touches, and what stands around it on the outer ones.
---@param bufnr integer
---@param range lsp.Range
---@param encoding string
---@return string[] lines
---@return string before
---@return string after
local function surroundings(bufnr, range, encoding)
  local first, last = range.start.line, range['end'].line
  local lines = vim.api.nvim_buf_get_lines(bufnr, first, last + 1, false)
  lines[last - first + 1] = lines[last - first + 1] or '' -- the place behind the last line
  local function byte(line, character)
    return vim.str_byteindex(line, encoding, character, false)
  end
  local before = lines[1]:sub(1, byte(lines[1], range.start.character))
  return lines, before, lines[#lines]:sub(byte(lines[#lines], range['end'].character) + 1)
end

--- Which line of `new` each line of `old` is: pairs of equal lines, and hunks of those that differ.
---@param old string[]
---@param new string[]
---@return integer[][] hunks first line and number of lines in `old`, the same in `new`
local function hunks_of(old, new)
  local compare = vim.text.diff or vim.diff -- the former is its name since 0.12
  local function text(lines)
    return table.concat(lines, '\n') .. '\n'
  end
  local found = compare(text(old), text(new), { result_type = 'indices' })
  return found --[[@as integer[][] ]]
end

--- Draw a hunk: lines over lines, what is too many below or struck out.
---@param bufnr integer
---@param row integer of the first line of `old`
---@param old string[]
---@param canvas redraft.Chunk[][]
---@param hunk integer[]
local function draw_hunk(bufnr, row, old, canvas, hunk)
  local a, removed, b, added = unpack(hunk, 1, 4)
  for i = 0, removed - 1 do
    if i < added then
      draw_line(bufnr, row + a - 1 + i, old[a + i], canvas[b + i])
    else
      local at = row + a - 1 + i
      mark(bufnr, at, 0, { end_row = at + 1, hl_group = 'RedraftGone' })
    end
  end
  if added > removed then
    local further = {}
    for i = removed, added - 1 do
      table.insert(further, virtual(canvas[b + i], bufnr))
    end
    -- An insertion alone comes after line `a`, which is 0 before the first one.
    local below = removed > 0 and a + removed - 1 or a
    local at = math.min(row + math.max(below, 1), vim.api.nvim_buf_line_count(bufnr)) - 1
    mark(bufnr, at, 0, { virt_lines = further, virt_lines_above = below == 0 })
  end
end

--- Draw a frame in place of what was drawn of its region before.
---@param bufnr integer with the text that the frame's region is counted in
---@param frame redraft.Frame
---@param encoding string
function M.draw(bufnr, frame, encoding)
  local old, before, after = surroundings(bufnr, frame.range, encoding)
  local canvas = lines_of(frame.cells, before, after)
  local row = frame.range.start.line
  vim.api.nvim_buf_clear_namespace(bufnr, namespace, row, row + #old)
  local a, b = 1, 1 -- the first lines that are not drawn yet
  local function draw_equal(till)
    while a <= till do
      draw_line(bufnr, row + a - 1, old[a], canvas[b])
      a, b = a + 1, b + 1
    end
  end
  for _, hunk in ipairs(hunks_of(old, vim.tbl_map(text_of, canvas))) do
    local start, removed, first, added = unpack(hunk, 1, 4)
    draw_equal(removed > 0 and start - 1 or start)
    draw_hunk(bufnr, row, old, canvas, hunk)
    -- Without lines on one side, `start` or `first` is the line before.
    a, b = start + math.max(removed, 1), first + math.max(added, 1)
  end
  draw_equal(#old)
end

---@param bufnr integer
function M.clear(bufnr)
  if vim.api.nvim_buf_is_valid(bufnr) then
    vim.api.nvim_buf_clear_namespace(bufnr, namespace, 0, -1)
  end
end

return M
