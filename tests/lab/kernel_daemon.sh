# Two hosts over the kernel's ESP, inside the kernel of ./run lab: what each step saw goes to standard output as
# name=value lines for test_kernel_daemon.py. Arguments: the folder of the programs, a mesh secret.
set -eu
trap 'status=$?; [ $status -eq 0 ] || cat "$work"/*.log >&2' EXIT
bin=$1 secret=$2
work=$(mktemp -d)
say() { printf '%s=%s\n' "$1" "$2"; }
in_() { host=$1; shift; nsenter --net="/run/netns/$host" "$@"; }
espalier() { host=$1; shift; in_ "$host" "$bin/espalier" --run "/run/espalier-$host" "$@"; }
# How many answers; 0 also where the kernel refuses to send at all.
pings() {
  answered=$(in_ a ping -n -q -c "$2" -i 0.05 -W 1 "$1" 2>/dev/null | sed -n 's/.* \([0-9]*\) received.*/\1/p')
  echo "${answered:-0}"
}
start() {
  # Not by in_: $! must be the daemon.
  nsenter --net="/run/netns/$1" "$bin/espalierd" --config "$work/$1" --state "$work/$1/state" --run "/run/espalier-$1" --self "$1" \
    --dataplane kernel >>"$work/$1.log" 2>&1 &
  eval "daemon_$1=$!"
}
wait_up() {
  for _ in $(seq 100); do
    case $(espalier a status --json 2>/dev/null) in *'"state": "up"'* | *'"state":"up"'*) return 0 ;; esac
    sleep 0.1
  done
  cat "$work"/*.log >&2
  return 1
}

for n in a b; do
  ip netns add $n
  mkdir -p "$work/$n/private"
  printf '%s\n' "$secret" >"$work/$n/private/mesh.secret"
  chmod 600 "$work/$n/private/mesh.secret"
  cat >"$work/$n/mesh.yaml" <<M
mesh: lab
hosts:
  a: {address: [10.0.0.1, "2001:db8::1"]}
  b: {address: [10.0.0.2, "2001:db8::2"]}
M
done
ip link add e0 netns a type veth peer name e0 netns b
for n in a b; do ip -n $n link set e0 up; ip -n $n link set lo up; done
ip -n a addr add 10.0.0.1/24 dev e0; ip -n a addr add 2001:db8::1/64 dev e0 nodad
ip -n b addr add 10.0.0.2/24 dev e0; ip -n b addr add 2001:db8::2/64 dev e0 nodad
say clear_before "$(pings 10.0.0.2 3)"

# What leaves in the clear: ping of either family. Only outwards: a device shows what a tunnel brought once more,
# decrypted, as if it had come in.
dumps=
for n in a b; do
  nsenter --net=/run/netns/$n tcpdump -n -l -Q out -i e0 'icmp or (icmp6 and ip6[40] >= 128 and ip6[40] <= 129)' \
    >>"$work/clear" 2>/dev/null &
  dumps="$dumps $!"
done
nsenter --net=/run/netns/b tcpdump -n -l -i e0 esp >"$work/esp" 2>/dev/null &
sleep 1
start a
for _ in $(seq 100); do [ -S /run/espalier-a/vici.sock ] && break; sleep 0.1; done
say one_side "$(pings 10.0.0.2 3)"
start b
wait_up
say v4 "$(pings 10.0.0.2 20)"
say v6 "$(pings 2001:db8::2 20)"
nsenter --net=/run/netns/a ping -n -q -c 60 -i 0.05 -W 1 10.0.0.2 >"$work/rekeys" &
pinging=$!
for _ in 1 2 3; do espalier a rekey b >/dev/null; done
wait $pinging
say rekeys "$(sed -n 's/.* \([0-9]*\) received.*/\1/p' "$work/rekeys")"
say policies "$(ip -n a xfrm policy | grep -c '^src.* dst 10.0.0.2\|^src.* dst 10.0.0.1')"
# Another program's policy and SA: never touched.
ip -n a xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out priority 1000 tmpl proto esp reqid 7 mode transport
ip -n a xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x700 reqid 7 mode transport \
  aead 'rfc4106(gcm(aes))' 0x0000000000000000000000000000000000000001 128
kill -9 "$daemon_a" "$daemon_b"
say killed "$(pings 10.0.0.2 3)"
start a; start b
wait_up
say again "$(pings 10.0.0.2 5)"
kill "$daemon_a" "$daemon_b"
sleep 1
say stopped "$(pings 10.0.0.2 3)"
sleep 0.5
kill $dumps
say leaked "$(grep -c echo "$work/clear" || true)"
grep echo "$work/clear" >&2 || true
say esp "$(grep -c ESP "$work/esp" || true)"
for n in a b; do espalier $n teardown >/dev/null 2>"$work/teardown" || cat "$work/teardown" >&2; done
say clear_after "$(pings 10.0.0.2 3)"
say foreign "$(ip -n a xfrm policy | grep -c 192.0.2.2)$(ip -n a xfrm state | grep -c 0x00000700)"
say left "$(ip -n a xfrm policy | grep -c 'dir' || true)"
