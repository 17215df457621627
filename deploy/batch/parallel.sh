#!/bin/sh
# The images in shares on several machines, by GNU parallel and SSH: parallel.sh MACHINES SHARES BUNDLE INPUT OUTPUT
# MACHINES is a file with a host a line (4/host runs four shares there at a time; : is this machine), which all see
# BUNDLE, INPUT and OUTPUT and have blipvino installed. A share that fails is tried again, also on another machine, and
# goes on where it was; so does all of it when this is run again.
set -eu
machines=$1 shares=$2 bundle=$3 input=$4 output=$5

seq "$shares" | parallel --sshloginfile "$machines" --workdir . --env BLIPVINO_CACHE \
    --retries 5 --joblog "$output.log" --tag --line-buffer \
    blipvino batch "$bundle" --input "$input" --output "$output" --task caption \
    --shard "{}/$shares" --quiet
