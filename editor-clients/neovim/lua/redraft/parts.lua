--- What a part of a suggestion is. Text in, text out.

local M = {}

-- A word with what stands before it, or a run of signs: bytes above 127 belong to letters here.
local WORD = '^%s*[%w_\128-\255]+'
local SIGNS = '^%s*[^%w%s_\128-\255]+'

--- The beginning of `text` that is taken as its first word or line.
---@param text string
---@param part 'all'|'word'|'line'
---@return string
function M.first(text, part)
  if part == 'word' then
    return text:match(WORD) or text:match(SIGNS) or text
  elseif part == 'line' then
    -- At the end of a line the next one is meant.
    return text:match('^\n*[^\n]*')
  end
  return text
end

return M
