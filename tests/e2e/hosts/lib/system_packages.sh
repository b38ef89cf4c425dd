# Packages of this system, from the archive that it is configured for; takes root. To be sourced.

# `install_system_packages PACKAGE...`: fails with what to do where they cannot be installed.
install_system_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$name: this needs packages of the system: apt install $*" >&2
        exit 1
    fi
    echo "$name: installing $*"
    apt-get update -qq || true # the lists of one of several sources may do
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends "$@" >/dev/null
}
