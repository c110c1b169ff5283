#!/usr/bin/env bash
# A Ray head on this machine's loopback interface, for trying out and for single machines.
#
#   cluster/local.sh start [OPTIONS OF ray start]   start it, if it does not run yet
#   cluster/local.sh env                            how to reach it: eval "$(cluster/local.sh env)"
#   cluster/local.sh status                         exits 0 if it runs, 3 if not
#   cluster/local.sh stop                           stop it and nothing else
#
# Settings, from the environment:
#   PVCNN_RAY_DIRECTORY       token, log, process id and Ray's own files; a short path (sockets lie there)
#   PVCNN_RAY_PORT            of the cluster, 6379
#   PVCNN_RAY_DASHBOARD_PORT  of dashboard and job server, 8265
#   PVCNN_RAY_CLIENT_PORT     of Ray's remote client, 10001, which pvcnn does not use
#   PVCNN_RAY_OBJECT_STORE    bytes of shared memory, 512 MiB
#   RAY                       the `ray` to run; by default the one on the PATH
set -euo pipefail

DIRECTORY=${PVCNN_RAY_DIRECTORY:-/tmp/pvcnn-ray-$(id -u)}
PORT=${PVCNN_RAY_PORT:-6379}
DASHBOARD_PORT=${PVCNN_RAY_DASHBOARD_PORT:-8265}
CLIENT_PORT=${PVCNN_RAY_CLIENT_PORT:-10001}
OBJECT_STORE=${PVCNN_RAY_OBJECT_STORE:-536870912}

TOKEN=$DIRECTORY/token
PROCESS=$DIRECTORY/process
LOG=$DIRECTORY/head.log
SESSIONS=$DIRECTORY/sessions
START_SECONDS=60
STOP_SECONDS=20

fail() {
    echo "local.sh: $*" >&2
    exit 1
}

# The process id of our head, if it runs. A number that another program got since is not ours.
running() {
    local process
    process=$(cat "$PROCESS" 2>/dev/null) || return 1
    tr '\0' ' ' <"/proc/$process/cmdline" 2>/dev/null | grep --quiet --fixed-strings -- "--temp-dir $SESSIONS " || return 1
    echo "$process"
}

# Asks the job server for its version. The token goes through a pipe, never into a command line.
answers() (
    exec 3<>"/dev/tcp/127.0.0.1/$DASHBOARD_PORT" || exit 1
    printf 'GET /api/version HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n' "$(<"$TOKEN")" >&3
    read -r line <&3
    [[ $line == *" 200 "* ]]
) 2>/dev/null

make_directory() {
    mkdir -m 700 "$DIRECTORY" 2>/dev/null || true
    # Whoever made it first could read the token.
    [[ -d $DIRECTORY && -O $DIRECTORY && ! -L $DIRECTORY ]] || fail "$DIRECTORY is not a directory of yours"
    chmod 700 "$DIRECTORY"
}

make_token() {
    rm -f "$TOKEN"
    (umask 077 && head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$TOKEN")
}

start() {
    local ray process second
    if process=$(running); then
        echo "runs already, process $process"
        return
    fi
    ray=$(command -v "${RAY:-ray}") || fail "no ray here: activate the environment that pvcnn is installed in"
    ray=$(cd "$(dirname "$ray")" && pwd)/$(basename "$ray")
    make_directory
    make_token
    rm -rf "$SESSIONS"
    # Jobs inherit this environment: `pvcnn` and `python` must be those beside `ray`.
    export PATH="${ray%/*}:$PATH"
    export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$TOKEN
    unset RAY_AUTH_TOKEN RAY_ADDRESS
    # The name mentions other systems, but it holds for all: without clusters of several machines
    # everything listens on 127.0.0.1.
    export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0
    # There is no other machine that the work could drain to.
    export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0
    # A session of its own, so that stopping it stops all that it started and nothing else.
    setsid "$ray" start --head --block --temp-dir "$SESSIONS" --port "$PORT" \
        --dashboard-host 127.0.0.1 --dashboard-port "$DASHBOARD_PORT" --dashboard-agent-listen-port 0 \
        --ray-client-server-port "$CLIENT_PORT" --min-worker-port 0 --max-worker-port 0 \
        --object-store-memory "$OBJECT_STORE" --disable-usage-stats "$@" </dev/null >"$LOG" 2>&1 &
    process=$!
    echo "$process" >"$PROCESS"
    for ((second = 0; second < START_SECONDS; second++)); do
        if answers; then
            echo "running: job server http://127.0.0.1:$DASHBOARD_PORT, process $process"
            return
        fi
        kill -0 "$process" 2>/dev/null || break
        sleep 1
    done
    stop >/dev/null
    tail -n 3 "$LOG" >&2
    fail "the head did not start; all it said is in $LOG"
}

stop() {
    local process second
    process=$(running) || {
        rm -f "$PROCESS" "$TOKEN"
        echo "stopped"
        return
    }
    kill -TERM "$process" 2>/dev/null || true
    for ((second = 0; second < STOP_SECONDS; second++)); do
        kill -0 -- "-$process" 2>/dev/null || break
        sleep 1
    done
    # What was killed is gone only when the system has got round to it: on a busy machine that takes a while.
    for ((second = 0; second < STOP_SECONDS; second++)); do
        kill -KILL -- "-$process" 2>/dev/null || break
        sleep 1
    done
    rm -f "$PROCESS" "$TOKEN"
    echo "stopped"
}

status() {
    local process
    if process=$(running) && answers; then
        echo "running: job server http://127.0.0.1:$DASHBOARD_PORT, process $process"
    else
        echo "stopped"
        return 3
    fi
}

print_environment() {
    running >/dev/null || fail "no head runs: cluster/local.sh start"
    cat <<EXPORTS
unset RAY_AUTH_TOKEN
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH='$TOKEN'
export RAY_API_SERVER_ADDRESS='http://127.0.0.1:$DASHBOARD_PORT'
EXPORTS
}

case ${1:-} in
start) start "${@:2}" ;;
stop) stop ;;
status) status ;;
env) print_environment ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
