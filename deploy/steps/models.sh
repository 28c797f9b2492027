# shellcheck shell=bash
# shellcheck disable=SC2154 # here, root, local_dir, log, scratch and target come from deploy/setup
# Detectors. `models` brings one that package registries ship: the MobileNetV3
# CenterNet of an npm package, converted to ONNX by our own script. `own_models` copies
# what the operator has downloaded, where NGATU_MODEL_FILES says so; nobody needs it.
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

models_advice() {
  if [[ -n ${NGATU_MODELS-} ]]; then
    echo 'name folders as in .local/models, separated by colons, or unset the variable'
  else
    echo "deploy/setup $target"
  fi
}

models_install() {
  [[ -z ${NGATU_MODELS-} ]] || fail "NGATU_MODELS=$NGATU_MODELS names a folder that is not there" "$(models_advice)"
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

# Models of the catalogue, as lines "MODEL STATE": `installed`; `here` where the folder
# NGATU_MODEL_FILES has the file that its manifest asks for; `wrong` where it has one of
# that name with another hash. Those that set-up brings by itself are left out.
_models_own() {
  local manifest model file sha256
  for manifest in "$root"/models/catalog/*/model.toml; do
    model=$(basename -- "$(dirname -- "$manifest")")
    case $model in centernet-mb3-512 | ppocr-v4-*) continue ;; esac
    file=${NGATU_MODEL_FILES-}/$(_models_manifest_value "$model" file)
    sha256=$(_models_manifest_value "$model" sha256)
    if _models_installed "$model"; then
      echo "$model installed"
    elif [[ -z ${NGATU_MODEL_FILES-} || ! -f $file ]]; then
      continue
    elif file_is "$file" "$sha256"; then
      echo "$model here"
    else
      echo "$model wrong"
    fi
  done
}

# Names of those in STATE, separated by commas.
_models_own_in() {
  _models_own | sed -n "s/ $1\$//p" | paste -sd, | sed 's/,/, /g'
}

own_models_title() {
  local installed here wrong
  installed=$(_models_own_in installed) here=$(_models_own_in here) wrong=$(_models_own_in wrong)
  if [[ -n ${NGATU_MODEL_FILES-} && ! -d $NGATU_MODEL_FILES ]] || [[ -n $here ]]; then
    echo "detectors of your own${here:+: $here} from $NGATU_MODEL_FILES (NGATU_MODEL_FILES)"
    return
  fi
  echo "detectors of your own: ${installed:-none, and none needed (NGATU_MODEL_FILES=FOLDER, or edge-agent models install)}${wrong:+; not used, since their SHA-256 is not that of the manifest: $wrong}"
}

# Ready unless there is something to copy: this step never asks the network.
own_models_ready() {
  [[ -z ${NGATU_MODELS-} && -n ${NGATU_MODEL_FILES-} ]] || return 0
  [[ -d $NGATU_MODEL_FILES && -z $(_models_own_in here) ]]
}

own_models_install() {
  [[ -d $NGATU_MODEL_FILES ]] || fail "NGATU_MODEL_FILES=$NGATU_MODEL_FILES names a folder that is not there" \
    "$(own_models_advice)"
  local model state name
  while read -r model state; do
    [[ $state == here ]] || continue
    name=$(_models_manifest_value "$model" file)
    mkdir -p -- "$_models_dir/$model"
    # By way of a name that nobody reads, so that a copy cut short is never taken for a model.
    cp -- "$NGATU_MODEL_FILES/$name" "$scratch/$name"
    mv -f -- "$scratch/$name" "$_models_dir/$model/$name"
  done < <(_models_own)
}

own_models_advice() {
  if [[ -d ${NGATU_MODEL_FILES-} ]]; then
    echo "deploy/setup $target"
  else
    echo 'name the folder with the model files that you downloaded, or unset the variable'
  fi
}
