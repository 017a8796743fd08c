# Shared by the scripts beside it; sourced, not run.
HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
STATE=${STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/sluice-one-node-kube}
mkdir -p "$STATE"
STATE=$(readlink -f "$STATE")

# Names what lives outside of STATE: cgroups, the CNI network, an nftables table.
ID=sluice-kube-$(printf %s "$STATE" | sha256sum | cut -c1-8)

BIN=$STATE/bin LOG=$STATE/log PIDS=$STATE/pids PKI=$STATE/pki
KUBELET_ROOT=$STATE/kubelet
CONTAINERD_SOCKET=$STATE/run/containerd.sock
KUBECONFIG_ADMIN=$STATE/kubeconfig
PROCESSES="etcd containerd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy"

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "this needs root"; }

# A pid file holds a pid and when that process started, so that a number that
# the kernel has given to somebody else since is never taken for ours.
started_at() { # nothing for a process that is gone or a zombie
  sed 's/^.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" { print $20 }'
}
pid_of() { # pid_of NAME: prints the pid if that process lives
  local pid start
  { read -r pid start <"$PIDS/$1"; } 2>/dev/null || return 1
  [ -n "$start" ] && [ "$(started_at "$pid")" = "$start" ] && echo "$pid"
}
start() { # start NAME COMMAND...: in the background, unless it runs already
  local name=$1 pid; shift
  pid_of "$name" >/dev/null && return
  mkdir -p "$PIDS" "$LOG"
  setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$PIDS/$name"
  say "started $name (pid $pid)"
}
stop() { # stop NAME: asks, waits up to 10 s, then insists
  local pid i
  if pid=$(pid_of "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    for ((i = 0; i < 100; i++)); do
      pid_of "$1" >/dev/null || break
      sleep 0.1
    done
    if pid_of "$1" >/dev/null; then
      kill -KILL "$pid" 2>/dev/null || true
      sleep 0.2
    fi
    say "ended $1 (pid $pid)"
  fi
  rm -f "$PIDS/$1"
}
wait_for() { # wait_for SECONDS WHAT COMMAND...
  local deadline=$((SECONDS + $1)) what=$2 name; shift 2
  until "$@" >/dev/null 2>&1; do
    for name in $PROCESSES; do
      if [ -e "$PIDS/$name" ] && ! pid_of "$name" >/dev/null; then
        tail -n 20 "$LOG/$name.log" >&2
        die "$name ended while waiting for $what; the end of $LOG/$name.log is above"
      fi
    done
    [ "$SECONDS" -lt "$deadline" ] || die "waited too long for $what; see $LOG"
    sleep 0.3
  done
}

kubectl() { KUBECONFIG=$KUBECONFIG_ADMIN "$BIN/kube" kubectl "$@"; }
ctr() { command ctr --address "$CONTAINERD_SOCKET" --namespace k8s.io "$@"; }

# Settings come from the environment of the first `up` and stay until `down`.
SETTINGS="PORT_OFFSET NODE_NAME NODE_IP POD_CIDR SERVICE_CIDR POD_LOGS_DIR PROXY DNS"
load_settings() { [ -e "$STATE/settings" ] && . "$STATE/settings"; }

forget_dead() { # drops the pid files of processes that ended by themselves
  local name
  for name in $PROCESSES; do pid_of "$name" >/dev/null || rm -f "$PIDS/$name"; done
}
mounts() { awk -v top="$STATE/" 'index($2, top) == 1 { print $2 }' /proc/mounts | sort -r; } # the innermost first
cgroup_mounts() { awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts; }
