#!/bin/sh
# Installs what builds the page of `redraft play`:
#
#   sh tests/e2e/hosts/web.sh DIR    everything goes into editor-clients/web/node_modules
#
# The browser and its driver come with vscode.sh. Does nothing where all is there.
set -eu

[ $# -eq 1 ] || { echo "usage: sh $0 DIR" >&2; exit 2; }
web=$(cd "$(dirname "$0")/../../.." && pwd)/editor-clients/web
command -v npm >/dev/null || { echo "web: npm is missing (Debian, Ubuntu: apt install nodejs npm)." >&2; exit 1; }
[ "$web/node_modules/.package-lock.json" -nt "$web/package-lock.json" ] && exit 0
echo "web: installing the page's build tools"
cd "$web"
npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
node node_modules/esbuild/install.js
