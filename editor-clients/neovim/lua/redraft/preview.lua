--- A diff in a floating window, and the user's decision about it.

local M = {}

local KEYS = { apply = { 'a', '<CR>' }, reject = { 'q', '<Esc>' } }
local HINT = ' a apply · q reject '
local CONTEXT = 3 -- lines around a change

---@alias redraft.Decision 'apply'|'reject'|'stale' the last one: the buffer was changed while the diff was shown

local close_current = nil ---@type fun(decision: redraft.Decision)? of the diff that is shown

---@param bufnr integer
---@param after string[]
---@return string[]
local function diff(bufnr, after)
  local before = table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, false), '\n') .. '\n'
  local compare = vim.text.diff or vim.diff -- the former is its name since 0.12
  local text = compare(
    before,
    table.concat(after, '\n') .. '\n',
    { ctxlen = CONTEXT, algorithm = 'histogram' }
  )
  return vim.split(vim.trim(text --[[@as string]]), '\n')
end

---@param title string
---@param lines string[]
---@return integer bufnr
---@return integer window
local function open(title, lines)
  local scratch = vim.api.nvim_create_buf(false, true)
  vim.api.nvim_buf_set_lines(scratch, 0, -1, false, lines)
  vim.bo[scratch].bufhidden = 'wipe'
  vim.bo[scratch].filetype = 'diff'
  vim.bo[scratch].modifiable = false
  local longest = #title + 4
  for _, line in ipairs(lines) do
    longest = math.max(longest, vim.fn.strdisplaywidth(line))
  end
  local width = math.max(20, math.min(longest + 1, vim.o.columns - 4))
  local height = math.max(1, math.min(#lines, math.floor(vim.o.lines * 0.7)))
  local window = vim.api.nvim_open_win(scratch, true, {
    relative = 'editor',
    row = math.max(0, math.floor((vim.o.lines - height) / 2) - 1),
    col = math.max(0, math.floor((vim.o.columns - width) / 2)),
    width = width,
    height = height,
    style = 'minimal',
    border = 'rounded',
    title = ' ' .. title .. ' ',
    footer = HINT,
    footer_pos = 'right',
  })
  vim.wo[window].wrap = false
  return scratch, window
end

--- Show what would become of `bufnr` and wait. To be called in a coroutine.
---@param title string
---@param bufnr integer
---@param after string[] its lines, changed
---@return redraft.Decision
function M.ask(title, bufnr, after)
  local waiting = assert(coroutine.running())
  if close_current then
    close_current('reject') -- a newer one takes its place
  end
  vim.cmd.stopinsert()
  local scratch, window = open(title, diff(bufnr, after))
  local group = vim.api.nvim_create_augroup('redraft.preview', {})
  local decided = nil ---@type redraft.Decision?

  ---@param decision redraft.Decision
  local function close(decision)
    if decided then
      return
    end
    decided = decision
    close_current = nil
    pcall(vim.api.nvim_del_augroup_by_id, group)
    if vim.api.nvim_win_is_valid(window) then
      vim.api.nvim_win_close(window, true)
    end
    -- Not from within a mapping or an autocommand: the text may be locked there.
    vim.schedule(function()
      coroutine.resume(waiting, decision)
    end)
  end

  close_current = close
  for decision, keys in pairs(KEYS) do
    for _, key in ipairs(keys) do
      vim.keymap.set('n', key, function()
        close(decision)
      end, { buffer = scratch, nowait = true, desc = 'Redraft: ' .. decision })
    end
  end
  -- Closed in any other way, it is rejected.
  vim.api.nvim_create_autocmd('BufWipeout', {
    group = group,
    buffer = scratch,
    callback = function()
      close('reject')
    end,
  })
  vim.api.nvim_create_autocmd({ 'TextChanged', 'TextChangedI' }, {
    group = group,
    buffer = bufnr,
    callback = function()
      close('stale')
    end,
  })
  return coroutine.yield()
end

return M
