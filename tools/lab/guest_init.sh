#!/bin/bash
# Process 1 of the lab kernel: tools/lab/README.md. The root is the machine's file system by hostfs, read-only,
# and $job (a folder of the supervisor's, by hostfs too) says what to do. Everything that is written stays in here.
# shellcheck source=/dev/null disable=SC2154  # the settings come from $job/settings
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
job=/run/espalier-lab

power_off() {
  echo o >/proc/sysrq-trigger
  sleep 60
}
give_up() {
  echo "lab: $*" >/dev/console
  power_off
}

# What only works before the root is writable: the overlay's own module, by its path.
mount -t proc proc /proc || give_up "no /proc"
. "$job/settings"
mount -t tmpfs -o size=100%,mode=755 tmpfs /mnt || give_up "no tmpfs"
mkdir /mnt/upper /mnt/work /mnt/root
if [[ -n $overlay_module ]]; then insmod "$overlay_module" || give_up "$overlay_module does not load"; fi
mount -t overlay overlay -o "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root || give_up "no overlay"

cd /mnt/root || give_up "no root"
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p ".$job" run/lock run/netns proc sys dev tmp mnt
mount_shared "$job" ".$job" rw || give_up "the supervisor's folder is not there"
mount -t proc proc proc
mount -t sysfs sys sys
mount -t devtmpfs dev dev
mkdir -p dev/pts dev/shm dev/net
mount -t devpts -o mode=620,ptmxmode=666,newinstance devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
[[ -e dev/net/tun ]] || mknod dev/net/tun c 10 200
ln -sfn /proc/self/fd dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -sfn "/proc/self/fd/${stream%%:*}" "dev/${stream#*:}"; done
if [[ -n $module_folder ]]; then
  rm -rf "lib/modules/$kernel"
  mkdir -p "lib/modules/$kernel"
  mount -o bind "$module_folder" "lib/modules/$kernel" || give_up "no modules"
fi
while IFS= read -r -d '' folder; do
  mount_shared "$folder" ".$folder" rw || give_up "cannot share $folder"
done <".$job/shares"

mkdir -p mnt/old
pivot_root . mnt/old || give_up "no pivot_root"
cd / || give_up "no root"
exec </dev/null >/dev/console 2>&1
umount -l /mnt/old

modprobe -a "${modules[@]}"
ip link set lo up
# A TAP device of the machine's is vec0, whatever this kernel calls it.
if [[ -e /sys/class/net/eth0 && ! -e /sys/class/net/vec0 ]]; then ip link set eth0 name vec0; fi
echo lab >/proc/sys/kernel/hostname

environment=()
while IFS= read -r -d '' variable; do environment+=("$variable"); done <"$job/environment"
command=()
while IFS= read -r -d '' word; do command+=("$word"); done <"$job/command"
cd "$directory" 2>/dev/null || cd /
# Held open: what arrives between two openings of a line is lost. Its first word tells the relay that input may come.
exec 8<>"$output"
stty -F "$errors" raw -echo
stty raw -echo <&8
session=(env -i "${environment[@]}" setsid -w "${command[@]}")
reads=/dev/null
if [[ $interactive == 1 ]]; then
  stty sane rows "$rows" columns "$columns" <&8
  session=(env -i "${environment[@]}" setsid -cw PS1="lab:\w# " /bin/bash --norc -i)
  reads=$output errors=$output
elif [[ $stdin == 1 ]]; then
  # Lines, and the end of the input as ^D: that is what a terminal can carry.
  stty icanon eof '^D' erase undef kill undef lnext undef eol undef werase undef <&8
  reads=$output
fi
printf ready. >&8
"${session[@]}" <"$reads" >"$output" 2>"$errors" 8>&-
status=$?
sync
echo "$status" >"$job/status.new" && mv "$job/status.new" "$job/status"
power_off
