#!/bin/sh
# Checks and tests the clients in TypeScript: `sh editor-clients/check.sh`. Part of `make lint`.
#
# Their build tools are installed once. Without Node.js, or where they cannot be installed, it says so and passes.
set -eu
cd "$(dirname "$0")"

skip() { echo "editor-clients: not checked, since $*"; exit 0; }

command -v node >/dev/null && command -v npm >/dev/null || skip "Node.js and npm are missing."
major=$(node -p 'process.versions.node.split(".")[0]')
[ "$major" -ge 20 ] || skip "they need Node.js 20 or newer, and this is $major."

for client in vscode web; do
  # npm writes node_modules/.package-lock.json last.
  if [ ! "$client/node_modules/.package-lock.json" -nt "$client/package-lock.json" ]; then
    echo "editor-clients: installing the build tools of $client"
    (cd "$client" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
      skip "the build tools of $client could not be installed."
  fi
done

for client in vscode web; do
  log=$(cd "$client" && npm run --silent check 2>&1 && npm test --silent --if-present 2>&1) || {
    printf '%s\n' "$log"
    echo "editor-clients: $client has errors."
    exit 1
  }
done
