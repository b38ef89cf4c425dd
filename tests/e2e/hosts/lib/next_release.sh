# Programs of the distribution's next release, together with the C library and the libraries they were built against,
# all unpacked into one folder: this system's packages and package sources stay as they are. The archive is the one
# that this machine is configured for. To be sourced; $name is the script's name for messages.

suite=forky

fail() {
    echo "$name: $*" >&2
    exit 1
}

# The archive that apt uses here, in either of the two formats of its sources.
archive() {
    uri=$(sed -n 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources \
        /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
    [ -n "$uri" ] ||
        uri=$(sed -n 's/^deb \(\[[^]]*\] \)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list 2>/dev/null | head -n 1)
    [ -n "$uri" ] || fail "no package archive is configured here"
    echo "$uri"
}

check_system() {
    command -v apt-get >/dev/null || fail "taken from a Debian archive, and there is no apt-get here"
    [ "$(uname -m)" = x86_64 ] || fail "written for x86_64 only"
    command -v patchelf >/dev/null || install_system_packages patchelf
}

# `unpack TARGET PACKAGE`: the package and all that it depends on, in TARGET/fs.
unpack() {
    apt=$1/apt
    uri=$(archive)
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$1/fs"
    : >"$apt/status" # nothing is installed, so that the C library comes too
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main" >"$apt/sources.list"
    private() {
        apt-get --yes --quiet \
            -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
            -o Dir::State::Lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
            -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Acquire::Languages=none "$@" \
            >"$apt/log" 2>&1 || { cat "$apt/log" >&2; fail "apt-get did not succeed"; }
    }
    private update
    private --download-only install "$2"
    for package in "$apt"/cache/archives/*.deb; do
        dpkg-deb -x "$package" "$1/fs"
    done
    rm -rf "$apt"
}

# `relink TARGET PROGRAM`: PROGRAM, a path in TARGET/fs, runs with the libraries there. Their paths are absolute:
# TARGET must not move afterwards.
relink() {
    libraries=$1/fs/usr/lib/x86_64-linux-gnu
    loader=$(find "$1/fs" -name 'ld-linux-x86-64.so.2' -type f | head -n 1)
    [ -n "$loader" ] || fail "the packages have no dynamic loader"
    find "$libraries" -name '*.so*' -type f ! -name 'ld-linux*' ! -name 'libc.so*' | while read -r library; do
        patchelf --force-rpath --set-rpath "$libraries" "$library" 2>/dev/null || true # not every one is ELF
    done
    patchelf --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$(readlink -f "$1/fs/$2")"
}

# `install_package TARGET PACKAGE PROGRAM`: TARGET/bin has the program; does nothing where it is there already.
# The script's own `check` has the last word.
install_package() {
    target=$1
    stamp=$target/.installed-$suite
    [ -e "$stamp" ] && return
    check_system
    rm -rf "$target"
    mkdir -p "$target/bin"
    target=$(cd "$target" && pwd -P)
    unpack "$target" "$2"
    relink "$target" "$3"
    ln -s "../fs/$3" "$target/bin/$(basename "$3")"
    check "$target/bin/$(basename "$3")"
    : >"$stamp"
}
