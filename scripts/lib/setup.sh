# Sets up the project's own virtual environment; sourced by scripts/run, scripts/test and scripts/check.
# Says in words what is missing on this machine and which Debian package brings it.

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
venv=${P2PNODE_VENV:-$root/.venv}

say() { printf '%s\n' "$*" >&2; }

find_python() {
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$name" >/dev/null 2>&1 && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    say "p2pnode needs Python 3.11 or newer, and none was found."
    say "  Debian, Ubuntu: apt-get install python3 python3-venv"
    return 1
}

# What a stamp must say for its part to be current: the same Python, the same checkout, the same lock.
fingerprint() {
    { echo "$root"; "$python" -V; cat "$@" </dev/null; } | cksum
}

make_venv() {
    if ! "$python" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        say "Python's venv module is missing or incomplete."
        say "  Debian, Ubuntu: apt-get install python3-venv"
        return 1
    fi
    "$python" -m venv --clear "$venv" || { say "could not make a virtual environment in $venv"; return 1; }
    # The program runs from the checkout itself: one line in the environment's path, nothing copied.
    "$venv/bin/python" - "$root" <<'PY'
import pathlib, sys, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "p2pnode-checkout.pth").write_text(sys.argv[1] + "\n")
PY
}

install_lock() {
    if ! "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r "$1"; then
        say ""
        say "Installing the packages of $(basename "$1") failed; pip says why above."
        case $(uname -m) in
        x86_64 | amd64) say "If it is the network, run the same command again: it goes on from here." ;;
        *)
            say "On $(uname -m) some packages (fastecdsa, which libp2p needs, among them) have no ready-made wheel and are compiled here."
            say "  Debian, Ubuntu, Raspberry Pi OS: apt-get install gcc g++ make pkg-config python3-dev libgmp-dev libffi-dev libssl-dev"
            ;;
        esac
        return 1
    fi
}

# set_up LOCK...: a virtual environment that holds these locks; quick when nothing changed. A stamp is written only when its
# part is complete, so a set-up that was interrupted goes on at the next call.
set_up() {
    python=$(find_python) || exit 1
    if [ "$(cat "$venv/.made" 2>/dev/null)" != "$(fingerprint)" ] || [ ! -x "$venv/bin/python" ]; then
        say "Setting up p2pnode (first start, or Python changed): this takes a minute ..."
        make_venv || exit 1
        fingerprint >"$venv/.made"
    fi
    for lock in "$@"; do
        [ "$(cat "$venv/.has-$lock" 2>/dev/null)" = "$(fingerprint "$root/$lock")" ] && continue
        say "Installing the packages of $lock ..."
        rm -f "$venv/.has-$lock"
        install_lock "$root/$lock" || exit 1
        fingerprint "$root/$lock" >"$venv/.has-$lock"
    done
}
