# Sourced by scripts/pina and scripts/test: makes .venv on first use and after requirements.lock changes.
# Everything is checked by hash and nothing needs a compiler: two small packages come as pure Python sources.
root=$(cd "$(dirname "$0")/.." && pwd)
venv=$root/.venv

# Where Python is told not to keep what it compiles, each command and daemon would compile all of this anew: half a second.
compile_checkout() {
    "$venv/bin/python" -m compileall -qq "$root/node" "$root/protocol" "$root/store" || true
}

make_venv() {
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
        echo "pinakothek: $python is missing or older than Python 3.11; set PYTHON to a newer one" >&2
        exit 1
    }
    echo "pinakothek: setting up .venv (once, about a minute)" >&2
    rm -rf "$venv"
    "$python" -m venv "$venv" || {
        echo "pinakothek: $python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
        exit 1
    }
    "$venv/bin/python" -m pip --disable-pip-version-check install -qq \
        --only-binary :all: --no-binary python-baseconv,varint \
        --no-deps --require-hashes -r "$root/requirements.lock" >&2
    site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    rm -rf "$site/trio-stubs" # of trio_typing, which libp2p pulls in: outdated, and in the way of trio's own types
    echo "$root" > "$site/pinakothek-checkout.pth"
    compile_checkout
    cp "$root/requirements.lock" "$venv/installed.lock"
}

# The copy is written last: an interrupted set-up starts again, an edited lock file is installed afresh.
cmp -s "$root/requirements.lock" "$venv/installed.lock" || (
    flock 9
    cmp -s "$root/requirements.lock" "$venv/installed.lock" || make_venv
) 9> "$root/.venv.lock"
