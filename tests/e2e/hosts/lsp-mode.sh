#!/bin/sh
# Unpacks lsp-mode, another LSP client for Emacs, into DIR/lsp-mode (a folder of Emacs packages in `elpa`):
# `lsp-mode.sh DIR`. It needs the Emacs of emacs.sh.
set -eu

name=lsp-mode.sh
dir=${1:?usage: lsp-mode.sh DIR}
. "$(dirname "$0")/lib/system_packages.sh"
. "$(dirname "$0")/lib/next_release.sh"

target=$dir/lsp-mode
stamp=$target/.installed-$suite
[ -e "$stamp" ] && exit
command -v apt-get >/dev/null || fail "taken from a Debian archive, and there is no apt-get here"
rm -rf "$target"
mkdir -p "$target"
target=$(cd "$target" && pwd -P)
unpack "$target" elpa-lsp-mode
ln -s fs/usr/share/emacs/site-lisp/elpa-src "$target/elpa"
version=$(basename "$target"/elpa/lsp-mode-*)
[ -d "$target/elpa/$version" ] || fail "the packages have no lsp-mode"
: >"$stamp"
echo "$version in $target/elpa"
