# What the tests need beyond Python packages; sourced by scripts/test. Installs by package name where it may, else names the package.

# need COMMAND PACKAGE: the Debian package that brings a command.
need() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

install_test_needs() {
    missing=""
    need git git
    need tmux tmux
    need ip iproute2
    need systemd-analyze systemd
    # Routers of every kind for the laboratory (tests/nat).
    need nft nftables
    need miniupnpd miniupnpd
    need node nodejs
    need npm npm
    # Real documents for the first journey: free documentation that Debian packages.
    [ -d /usr/share/doc/python3.11/html ] || missing="$missing python3.11-doc"
    if [ -n "$missing" ]; then
        if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
            say "Installing what the tests need:$missing"
            apt-get update -qq >/dev/null 2>&1 || true
            # shellcheck disable=SC2086  # a list of package names
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
                say "could not install:$missing (tests that need them say so)"
        else
            say "Tests that need these Debian packages will say so: apt-get install$missing"
        fi
    fi
    for folder in "$root/tests/interop" "$root/tests/interop/ipfs"; do
        if command -v npm >/dev/null 2>&1 && [ -f "$folder/package-lock.json" ]; then
            want=$(cksum <"$folder/package-lock.json")
            if [ "$(cat "$folder/node_modules/.has" 2>/dev/null)" != "$want" ]; then
                say "Installing the JavaScript implementations that the tests compare with ..."
                if (cd "$folder" && npm ci --silent --no-audit --no-fund --ignore-scripts); then
                    printf '%s\n' "$want" >"$folder/node_modules/.has"
                else
                    say "npm ci failed; tests against JavaScript implementations will say so"
                fi
            fi
        fi
    done
}
