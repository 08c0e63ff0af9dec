#!/bin/sh
# A stand-in for systemd: whether the unit runs is a file beside it.
here=$(dirname "$(readlink -f "$0")")
printf '["systemctl", "%s", "%s"]\n' "$1" "$2" >>"$here/calls.log"
case $1 in
stop) rm -f "$here/active" ;;
start) touch "$here/active" ;;
is-active) test -e "$here/active" ;;
esac
