-- What `vim.lsp.enable('redraft')` starts. Yours comes on top: `vim.lsp.config('redraft', {...})`.
return require('redraft.client').config()
