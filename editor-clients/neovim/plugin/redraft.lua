-- Runs at every start, so it only says what there is; the code is loaded by the first file or command.
if vim.g.loaded_redraft then
  return
end
vim.g.loaded_redraft = true

if vim.fn.has('nvim-0.11') == 0 then
  vim.notify('Redraft needs Neovim 0.11 or newer.', vim.log.levels.WARN)
  return
end

vim.api.nvim_create_user_command('Redraft', function(args)
  require('redraft.command').run(args)
end, {
  nargs = '*',
  range = true,
  desc = 'Fix and refactor code with Redraft',
  complete = function(lead, line)
    return require('redraft.command').complete(lead, line)
  end,
})

-- `vim.g.redraft_enable = false` leaves it to you: `vim.lsp.enable('redraft')`.
if vim.g.redraft_enable ~= false then
  vim.lsp.enable('redraft')
end
