"""The language server and the command line: everything that speaks LSP or to a terminal."""
