#!/bin/sh
# Installs Helix in DIR/helix (run as `bin/hx`): `helix.sh DIR`.
set -eu

name=helix.sh
dir=${1:?usage: helix.sh DIR}
. "$(dirname "$0")/lib/system_packages.sh"
. "$(dirname "$0")/lib/next_release.sh"

check() {
    version=$("$1" --version | head -n 1)
    case $version in
    "helix "*) echo "$version in $1" ;;
    *) fail "expected Helix, got '$version'" ;;
    esac
}

install_package "$dir/helix" hx usr/bin/hx
