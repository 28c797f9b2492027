# shellcheck shell=bash
# shellcheck disable=SC2154 # root, local_dir, log and target come from deploy/setup
# A broker that speaks MQTT 3.1.1 and nothing newer: the uplink is tested against one,
# and Debian's mosquitto cannot be told to forget MQTT 5.

_old_broker_source=$root/edge-agent/uplink/tests/old-broker
_old_broker_dir=$local_dir/old-broker

old_broker_title() { echo 'a broker from before MQTT 5 (.local/old-broker)'; }

old_broker_ready() {
  [[ -d $_old_broker_dir/node_modules/aedes ]] &&
    cmp -s -- "$_old_broker_source/package-lock.json" "$_old_broker_dir/package-lock.json"
}

old_broker_install() {
  rm -rf -- "$_old_broker_dir" && mkdir -p -- "$_old_broker_dir"
  cp -- "$_old_broker_source/package.json" "$_old_broker_dir/"
  # The lock last: it says that the rest is there.
  cp -- "$_old_broker_source/package-lock.json" "$_old_broker_dir/"
  logged 'fetching aedes' "$log" npm --prefix "$_old_broker_dir" ci --ignore-scripts --no-audit --no-fund --loglevel=error ||
    fail 'npm could not fetch the old broker' 'check the network, then run this again'
}
