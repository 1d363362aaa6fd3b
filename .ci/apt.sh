# shellcheck shell=bash
# Sourced by the scripts beside it, which define `say`: Debian packages, where they can be installed.

can_use_apt() { [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; }

# Debian packages, without questions. What the package manager says is shown only when it fails.
apt_install() {
    local log
    log=$(mktemp)
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        say "the packages $* could not be installed"
        return 1
    fi
    rm -f "$log"
}
