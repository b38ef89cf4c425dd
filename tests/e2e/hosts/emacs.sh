#!/bin/sh
# Makes Emacs (with its LSP client eglot) available in DIR/emacs (run as `bin/emacs`): `emacs.sh DIR`.
#
# It is the system's own Emacs; where there is none it is installed from the system's package archive.
set -eu

dir=${1:?usage: emacs.sh DIR}
name=emacs.sh
. "$(dirname "$0")/lib/system_packages.sh"

target=$dir/emacs
[ -x "$target/bin/emacs" ] && exit

command -v emacs >/dev/null || install_system_packages emacs-nox
# Emacs has eglot since version 29; for older ones there is a package of it.
with_eglot() {
    emacs --batch --eval "(progn (package-initialize) (require 'eglot))" >/dev/null 2>&1
}
with_eglot || install_system_packages elpa-eglot
version=$(emacs --version | head -n 1)
with_eglot || { echo "$name: $version has no eglot: take Emacs 29, or apt install elpa-eglot" >&2; exit 1; }
mkdir -p "$target/bin"
ln -sf "$(command -v emacs)" "$target/bin/emacs"
echo "$version in $target/bin/emacs"
