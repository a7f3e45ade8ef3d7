# Programs of others that the bench measures beside us; sourced by scripts/bench. What cannot be installed is only not measured.

# An environment of its own: foreign native libraries and ours share no process.
install_bench_needs() {
    beside=${P2PNODE_BENCH_VENV:-$root/.venv-bench}
    want=$(cat "$root/requirements-bench.lock" | cksum)
    if [ "$(cat "$beside/.has" 2>/dev/null)" != "$want" ]; then
        say "Installing the programs that the bench compares with ..."
        { [ -x "$beside/bin/python" ] || "$python" -m venv "$beside"; } &&
            "$beside/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
                -r "$root/requirements-bench.lock" && printf '%s\n' "$want" >"$beside/.has" ||
            say "some could not be installed; their rows say so"
    fi
    export P2PNODE_BENCH_VENV="$beside"
    command -v syncthing >/dev/null 2>&1 || say "for the row against Syncthing (Debian, Ubuntu): apt-get install syncthing"
}
