#!/bin/sh
# Makes Emacs (with its LSP client eglot) available in DIR/emacs (run as `bin/emacs`): `emacs.sh DIR`.
#
# It is the system's own Emacs; where there is none it is installed from the system's package archive, which
# takes root.
set -eu

dir=${1:?usage: emacs.sh DIR}
target=$dir/emacs
[ -x "$target/bin/emacs" ] && exit

if ! command -v emacs >/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends emacs-nox >/dev/null
    else
        echo "emacs.sh: there is no Emacs: apt install emacs-nox" >&2
        exit 1
    fi
fi
# Emacs has eglot since version 29; for older ones there is a package of it.
with_eglot() {
    emacs --batch --eval "(progn (package-initialize) (require 'eglot))" >/dev/null 2>&1
}
if ! with_eglot && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends elpa-eglot >/dev/null
fi
version=$(emacs --version | head -n 1)
with_eglot || { echo "emacs.sh: $version has no eglot: take Emacs 29, or apt install elpa-eglot" >&2; exit 1; }
mkdir -p "$target/bin"
ln -sf "$(command -v emacs)" "$target/bin/emacs"
echo "$version in $target/bin/emacs"
