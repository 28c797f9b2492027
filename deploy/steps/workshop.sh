# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# The workshop's Python (deploy/workshop/setup), so that training, export and quantisation are tested like all else.

workshop_title() { echo "what trains and quantises models (.local/workshop)"; }

workshop_ready() { "$here/workshop/setup" --check &>/dev/null; }

workshop_install() {
  logged 'installing YOLOX, ONNX Runtime and OpenCV into .local/workshop' "$log" "$here/workshop/setup" ||
    fail 'the workshop could not be set up' 'check the network, then run this again'
}
