# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# Detectors. `models` brings one that package registries ship: the MobileNetV3
# CenterNet of an npm package, converted to ONNX by our own script. `preferred_model`
# links YOLOX-nano where the checkout has it beside it; nobody needs it.
#
# What a right file is stands in one place only, models/catalog/*/model.toml.

_models_dir=$local_dir/models
_models_package=@vladmandic/human@3.3.6
_models_package_sha256=425e9c51dbbca0c8934362b170cb0d54c2529c11c654b3c03092b16e9d6ad3f7
_models_package_file=$local_dir/packages/vladmandic-human-3.3.6.tgz

# manifest_value MODEL KEY: a top-level text value of the model's manifest.
_models_manifest_value() {
  sed -n "/^\[/q; s/^$2 *= *\"\([^\"]*\)\".*/\1/p" "$root/models/catalog/$1/model.toml"
}

# Whether MODEL is in .local/models with the hash that its manifest asks for.
_models_installed() {
  local name sha256
  name=$(_models_manifest_value "$1" file) sha256=$(_models_manifest_value "$1" sha256)
  [[ -n $name && -n $sha256 ]] && file_is "$_models_dir/$1/$name" "$sha256"
}

models_title() {
  if [[ -n ${NGATU_MODELS-} ]]; then
    echo "models in $NGATU_MODELS (NGATU_MODELS)"
  else
    echo 'detector centernet-mb3-512 (.local/models)'
  fi
}

models_ready() {
  if [[ -z ${NGATU_MODELS-} ]]; then
    _models_installed centernet-mb3-512
    return
  fi
  local folders folder
  IFS=: read -ra folders <<<"$NGATU_MODELS"
  for folder in "${folders[@]}"; do
    [[ -z $folder || -d $folder ]] || return 1
  done
}

models_install() {
  [[ -z ${NGATU_MODELS-} ]] || fail "NGATU_MODELS=$NGATU_MODELS names a folder that is not there" \
    'name folders as in .local/models, separated by colons, or unset the variable'
  if ! file_is "$_models_package_file" "$_models_package_sha256"; then
    mkdir -p -- "$(dirname -- "$_models_package_file")"
    logged "fetching $_models_package (28 MB)" "$log" \
      npm pack --loglevel=error --pack-destination "$scratch" "$_models_package" ||
      fail "npm could not fetch $_models_package" 'check the network, then run this again'
    file_is "$scratch/$(basename -- "$_models_package_file")" "$_models_package_sha256" ||
      fail "$_models_package is not the file that we know (its SHA-256 differs)" \
        'do not use it; compare with another network, then run this again'
    mv -- "$scratch/$(basename -- "$_models_package_file")" "$_models_package_file"
  fi
  logged 'converting centernet-mb3-512 to ONNX' "$log" \
    "$venv_python" "$here/models/convert_centernet.py" \
    --package "$_models_package_file" --out "$_models_dir/centernet-mb3-512/" ||
    fail 'the model could not be converted' "look into $log; delete .local/venv and run this again"
}

_models_beside=$root/../shared/data/models/yolox_nano.onnx

preferred_model_title() {
  if _models_installed yolox-nano; then
    echo 'detector yolox-nano (.local/models), preferred'
  else
    echo 'detector yolox-nano: not installed, not needed (edge-agent models install yolox-nano --from FILE|URL)'
  fi
}

# Ready unless there is something to link: this step never asks the network.
preferred_model_ready() {
  [[ -n ${NGATU_MODELS-} ]] || _models_installed yolox-nano ||
    ! file_is "$_models_beside" "$(_models_manifest_value yolox-nano sha256)"
}

preferred_model_install() {
  local file
  file=$_models_dir/yolox-nano/$(_models_manifest_value yolox-nano file)
  mkdir -p -- "$(dirname -- "$file")"
  ln -sfn "$(realpath -- "$_models_beside")" "$file"
}
