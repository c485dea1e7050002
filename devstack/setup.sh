#!/usr/bin/env bash
# Installs what the project needs and the machine lacks: Debian packages, and the locked Python packages into .venv.
# PYTHON names the interpreter for .venv; default: the newest of 3.13, 3.12 and 3.11 on this machine.
# With the argument `cluster` it installs what a cluster needs, too, with `browser` what tests of the Web UI need.
set -euo pipefail
cd "$(dirname "$0")/.."
exec 9<devstack/setup.sh
flock 9 # `make --jobs` may begin it twice

say() { echo "setup: $*"; }
give_up() { echo "setup: $*" >&2; exit 1; }

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; }

newest_python() {
    local candidate
    for candidate in python3.13 python3.12 python3.11 python3 /usr/bin/python3; do
        if suits "$candidate"; then echo "$candidate"; return; fi
    done
}

apt() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || give_up "run as root or with sudo installed, to install: $*"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null || give_up "this is not Debian; install the equivalent of: $*"
    say "installing Debian packages: $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" </dev/null
}

packages=()
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || packages+=(rabbitmq-server)
command -v restic >/dev/null || packages+=(restic)
[ -x /usr/lib/openssh/sftp-server ] || packages+=(openssh-sftp-server) # stands in for another machine in tests
[ -x /usr/sbin/setcap ] || packages+=(libcap2-bin) # gives restic file capabilities in tests
command -v openssl >/dev/null || packages+=(openssl) # makes certificates for tests
command -v systemd-analyze >/dev/null || packages+=(systemd) # checks the units of deploy/

if [ "${1:-}" = cluster ]; then
    [ -x /usr/lib/postgresql/15/bin/postgres ] || packages+=(postgresql-15)
    [ -x /usr/sbin/haproxy ] || packages+=(haproxy)
    [ -x /usr/sbin/ip ] || packages+=(iproute2) # makes networks of machines
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || packages+=(libfaketime) # a worker's wrong clock
fi

if [ "${1:-}" = browser ]; then
    [ -x /usr/bin/chromium ] || packages+=(chromium)
fi

if ! suits .venv/bin/python; then
    python=${PYTHON:-$(newest_python)}
    [ -n "$python" ] || { python=/usr/bin/python3; packages+=(python3); }
    # Debian ships Python without the package that puts pip into a virtual environment.
    "$python" -c 'import ensurepip' 2>/dev/null || packages+=("$(basename "$(readlink -f "$(command -v "$python" || echo python3)")")-venv")
fi

if [ ${#packages[@]} != 0 ]; then
    apt "${packages[@]}"
    for server in rabbitmq-server postgresql-15 haproxy; do
        if [[ " ${packages[*]} " == *" $server "* && -d /run/systemd/system ]]; then
            say "Debian started a ${server%-15} for the whole machine, which this project does not use:" \
                "'systemctl disable --now ${server%-15}' stops it"
        fi
    done
fi

if ! suits .venv/bin/python; then
    suits "$python" || give_up "$python is not Python 3.11, 3.12 or 3.13; set PYTHON"
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi

wanted=$(sha256sum requirements.lock pyproject.toml)
if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
    say "installing the locked Python packages into .venv"
    pip=(.venv/bin/python -m pip --disable-pip-version-check -qq install --root-user-action=ignore)
    "${pip[@]}" --require-hashes -r requirements.lock
    "${pip[@]}" --no-deps --no-build-isolation -e .
    echo "$wanted" >.venv/installed
fi
