--- `:Redraft SUBCOMMAND [ARGUMENT]`.

local M = {}

---@class redraft.Subcommand
---@field run fun(rest: string, lines?: [integer, integer])
---@field complete? fun(): string[]

---@type table<string, redraft.Subcommand>
local subcommands = {
  fix = {
    run = function(_, lines)
      require('redraft').fix(lines)
    end,
  },
  refactor = {
    run = function(rest, lines)
      require('redraft').refactor(rest, lines)
    end,
    complete = function()
      return require('redraft.instructions').known()
    end,
  },
  cancel = {
    run = function()
      require('redraft').cancel()
    end,
  },
  toggle = {
    run = function(rest)
      require('redraft').toggle(rest ~= '' and rest or nil)
    end,
    complete = function()
      return vim.lsp.config.redraft.filetypes or {}
    end,
  },
  status = {
    run = function()
      local bufnr = vim.api.nvim_get_current_buf()
      local client = require('redraft.client').of(bufnr)
      local say = require('redraft.say')
      if not client then
        say.info(require('redraft.client').why_not(bufnr))
        return
      end
      local status = require('redraft.status').of(client.id) or { message = '' }
      local line = require('redraft').status()
      local version = vim.tbl_get(client, 'server_info', 'version') or 'unknown'
      local detail = status.message ~= '' and ': ' .. status.message or ''
      say.info(('%s%s (server %s)'):format(line, detail, version))
    end,
  },
  log = {
    run = function()
      vim.cmd.tabedit(vim.fn.fnameescape(require('redraft.health').log_file()))
      vim.cmd.normal({ 'G', bang = true })
    end,
  },
  restart = {
    run = function()
      require('redraft').restart()
    end,
  },
}

---@return string[]
local function names()
  return vim.fn.sort(vim.tbl_keys(subcommands))
end

---@param args { args: string, range: integer, line1: integer, line2: integer }
function M.run(args)
  local name, rest = args.args:match('^%s*(%S*)%s*(.-)%s*$')
  local subcommand = subcommands[name]
  if not subcommand then
    local what = name == '' and ':Redraft takes one of' or ("':Redraft %s' is none of"):format(name)
    require('redraft.say').warn(('%s %s.'):format(what, table.concat(names(), ', ')))
    return
  end
  subcommand.run(rest, args.range > 0 and { args.line1, args.line2 } or nil)
end

--- Words that begin with `lead`. An instruction has several words, of which `lead` is the last only: what comes
--- before it is left out of the answers.
---@param lead string
---@param line string the command line up to the cursor
---@return string[]
function M.complete(lead, line)
  local arguments = line:match('Redraft!?%s+(.*)$') or ''
  local name, rest = arguments:match('^(%S+)%s+(.*)$')
  local subcommand = subcommands[name]
  local all = name and (subcommand and subcommand.complete and subcommand.complete() or {})
    or names()
  local typed = name and rest or arguments
  local before = #typed - #lead
  local found = {}
  for _, word in ipairs(all) do
    if word:sub(1, #typed):lower() == typed:lower() then
      table.insert(found, word:sub(before + 1))
    end
  end
  return found
end

return M
