#!/bin/sh
# Installs VS Code (code-server), a browser driver and what builds the extension:
#
#   sh tests/e2e/hosts/vscode.sh DIR    everything goes into DIR/vscode and editor-clients/vscode/node_modules
#
# Needs Linux, npm, and Debian's chromium (installed where this runs as root). Does nothing where all is there.
set -eu

CODE_SERVER=4.139.1   # VS Code 1.139.1
NODE=24.21.0          # code-server answers with errors on Node 20
PLAYWRIGHT=1.65.1

[ $# -eq 1 ] || { echo "usage: sh $0 DIR" >&2; exit 2; }
repository=$(cd "$(dirname "$0")/../../.." && pwd)
extension=$repository/editor-clients/vscode
mkdir -p "$1/vscode"
host=$(cd "$1/vscode" && pwd)

name=vscode.sh
. "$repository/tests/e2e/hosts/lib/system_packages.sh"
fail() { echo "$name: $*" >&2; exit 1; }

[ "$(uname -s)" = Linux ] || fail "only Linux is supported."
case $(uname -m) in
  x86_64) arch=x64 ;;
  aarch64) arch=arm64 ;;
  *) fail "there is no Node.js package for $(uname -m)." ;;
esac
command -v npm >/dev/null || fail "npm is missing (Debian, Ubuntu: apt install nodejs npm)."

command -v chromium >/dev/null || install_system_packages chromium

# Build tools of the extension; npm writes node_modules/.package-lock.json last.
if [ ! "$extension/node_modules/.package-lock.json" -nt "$extension/package-lock.json" ]; then
  echo "vscode.sh: installing the extension's build tools"
  (cd "$extension" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi

wanted=$(cksum <"$0")
[ "$(cat "$host/stamp" 2>/dev/null || true)" = "$wanted" ] && exit 0

echo "vscode.sh: installing code-server $CODE_SERVER"
rm -rf "$host"
mkdir -p "$host/bin"
cd "$host"
echo '{"private": true}' >package.json
npm install --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
  "node-linux-$arch@$NODE" "code-server@$CODE_SERVER" "playwright-core@$PLAYWRIGHT"
# Under another Node.js npm would look for this machine's settings (certificates, a registry) beside that one.
npm_config_globalconfig=$(npm config get globalconfig)
PATH=$host/node_modules/node-linux-$arch/bin:$PATH
export PATH npm_config_globalconfig

# VS Code's own dependencies: without those that need a compiler or serve features that no test uses.
cd "$host/node_modules/code-server/lib/vscode"
for name in @github/copilot-sdk @microsoft/mxc-sdk @vscode/copilot-api @vscode/sqlite3 kerberos @devcontainers/cli \
  node-pty @vscode/windows-process-tree @vscode/windows-registry; do
  npm pkg delete "dependencies.$name"
done
npm install --omit=dev --ignore-scripts --no-save --no-package-lock --no-audit --no-fund --loglevel=error

# Few built-in extensions: the host starts faster, and nothing but Redraft offers code actions.
for folder in extensions/*/; do
  case $(basename "$folder") in
    python | javascript | typescript-basics | theme-defaults | theme-seti | node_modules) ;;
    *) rm -rf "$folder" ;;
  esac
done

cat >"$host/bin/node" <<END
#!/bin/sh
exec "\$(dirname "\$0")/../node_modules/node-linux-$arch/bin/node" "\$@"
END
cat >"$host/bin/code-server" <<'END'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/node" "$here/../node_modules/code-server/out/node/entry.js" "$@"
END
chmod +x "$host/bin/node" "$host/bin/code-server"
"$host/bin/code-server" --version >/dev/null || fail "code-server does not start."
printf '%s\n' "$wanted" >"$host/stamp"
echo "vscode.sh: ready"
