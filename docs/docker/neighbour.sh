#!/bin/sh
# neighbour.sh HOST MAC: in the diode's network namespace, a permanent entry for HOST, which answers no ARP, on whichever
# interface leads there; and no default route.
set -eu
address=$(getent ahostsv4 "$1" | awk 'NR == 1 { print $1 }')
interface=$(ip -o route get "$address" | sed -n 's/.* dev \([^ ]*\) .*/\1/p')
ip neigh replace "$address" lladdr "$2" nud permanent dev "$interface"
ip route flush exact default
