--- What the plugin's own text looks like. The colour scheme may say otherwise.

local M = {}

local LINKS = {
  RedraftMask = 'NonText',
  RedraftUnsure = 'DiagnosticError',
  RedraftLikely = 'DiagnosticWarn',
  RedraftSure = 'DiagnosticOk',
  RedraftGone = 'DiagnosticDeprecated',
}

function M.define()
  local ghost = vim.fn.hlexists('ComplHint') == 1 and 'ComplHint' or 'NonText'
  vim.api.nvim_set_hl(0, 'RedraftGhost', { link = ghost, default = true })
  for name, link in pairs(LINKS) do
    vim.api.nvim_set_hl(0, name, { link = link, default = true })
  end
end

return M
