"""`python -I -m lsp_server` is `redraft`: isolated, so that a workspace's own folder `model/` is not
imported."""

import sys

from lsp_server.cli import main

if __name__ == "__main__":
    sys.exit(main())
