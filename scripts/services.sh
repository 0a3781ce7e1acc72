#!/bin/sh
# Runs a command beside a Docker daemon, a containerd and a registry of its own: scripts/services.sh run COMMAND [ARG...]
#
# They live in one temporary directory, reachable by DD_TEST_DOCKER_HOST, DD_TEST_CONTAINERD (a socket) and DD_TEST_REGISTRY
# (host:port), and end with the command. A variable that is set already names a service to use instead; a program that
# is missing leaves its variable unset. Needs root. Sourced, it gives services_start and services_stop.

services_dir=
services_pids=

# services_launch NAME COMMAND...: runs it in a session of its own, with a log.
services_launch() {
	service=$1
	shift
	setsid "$@" >"$services_dir/$service.log" 2>&1 </dev/null &
	services_pids="$! $services_pids"
}

# services_await NAME COMMAND...: waits until the command succeeds; the service's log tells why it never does.
services_await() {
	service=$1
	shift
	tries=0
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ "$tries" -gt 150 ] || ! kill -0 "${services_pids%% *}" 2>/dev/null; then
			printf 'services: %s does not start:\n' "$service" >&2
			tail -n 5 "$services_dir/$service.log" >&2
			return 1
		fi
		sleep 0.2
	done
}

services_has() {
	for program in "$@"; do
		command -v "$program" >/dev/null 2>&1 || return 1
	done
}

start_containerd() {
	cat >"$services_dir/containerd.toml" <<-END
		version = 2
		root = "$services_dir/containerd/root"
		state = "$services_dir/containerd/state"
		disabled_plugins = ["io.containerd.grpc.v1.cri"]
		[grpc]
		  address = "$services_dir/containerd.sock"
		[ttrpc]
		  address = "$services_dir/containerd.sock.ttrpc"
	END
	services_launch containerd containerd -c "$services_dir/containerd.toml"
	services_await containerd ctr -a "$services_dir/containerd.sock" version || return 1
	DD_TEST_CONTAINERD=$services_dir/containerd.sock
	export DD_TEST_CONTAINERD
}

# Without a bridge: containers of the tests have no network.
start_docker() {
	echo '{}' >"$services_dir/daemon.json"
	services_launch docker dockerd --config-file "$services_dir/daemon.json" --data-root "$services_dir/docker" \
		--exec-root "$services_dir/docker-exec" --pidfile "$services_dir/docker.pid" -H "unix://$services_dir/docker.sock" \
		--containerd "$DD_TEST_CONTAINERD" --bridge=none --iptables=false --ip6tables=false
	services_await docker docker -H "unix://$services_dir/docker.sock" version || return 1
	DD_TEST_DOCKER_HOST=unix://$services_dir/docker.sock
	export DD_TEST_DOCKER_HOST
}

# It is there when it says that it does not know a repository.
registry_answers() {
	LC_ALL=C skopeo list-tags --tls-verify=false "docker://$1/none" 2>&1 | grep -q '404\|name unknown'
}

# A free port of this machine is found by trying: the registry ends when its port is taken.
start_registry() {
	port=$((20000 + $$ % 20000))
	for _ in 1 2 3 4 5; do
		port=$((port + 1))
		cat >"$services_dir/registry.yml" <<-END
			version: 0.1
			log: {level: warn}
			storage: {filesystem: {rootdirectory: $services_dir/registry}, delete: {enabled: true}}
			http: {addr: "127.0.0.1:$port"}
		END
		services_launch registry docker-registry serve "$services_dir/registry.yml"
		if services_await registry registry_answers "127.0.0.1:$port"; then
			DD_TEST_REGISTRY=127.0.0.1:$port
			export DD_TEST_REGISTRY
			return 0
		fi
	done
	return 1
}

services_start() {
	services_dir=$(mktemp -d "${TMPDIR:-/tmp}/dd-services.XXXXXX")
	failed=0
	if [ -z "${DD_TEST_CONTAINERD:-}" ] && services_has containerd ctr; then
		start_containerd || failed=1
	fi
	if [ -z "${DD_TEST_DOCKER_HOST:-}" ] && [ -n "${DD_TEST_CONTAINERD:-}" ] && services_has dockerd docker; then
		start_docker || failed=1
	fi
	# The daemon of the tests is the only one that a test can reach without naming one.
	[ -z "${DD_TEST_DOCKER_HOST:-}" ] || export DOCKER_HOST="$DD_TEST_DOCKER_HOST"
	if [ -z "${DD_TEST_REGISTRY:-}" ] && services_has docker-registry skopeo; then
		start_registry || failed=1
	fi
	return "$failed"
}

# The latest first: the daemon before its containerd.
services_stop() {
	for pid in $services_pids; do
		kill "$pid" 2>/dev/null || continue
		wait "$pid" 2>/dev/null || true
	done
	services_pids=
	[ -z "$services_dir" ] || rm -rf --one-file-system "$services_dir"
	services_dir=
}

if [ "${1:-}" = run ] && [ "$#" -gt 1 ]; then
	shift
	set -u
	trap services_stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	services_start || [ "${CI:-false}" != true ] || exit 4
	"$@"
fi
