#!/usr/bin/env bash
# Installs an overlay in the cluster of the current kubeconfig and takes it away again, with kubectl alone. `make` calls it.
#
#   installation.sh install|deploy|undeploy|uninstall
#
#   OVERLAY   folder of overlays/          (standalone)
#   IMG       image of both containers     (that of the overlay)
#   KUBECTL   kubectl, with a path or not  (kubectl)
#   CONFIRM   yes: uninstall may delete Profiles and their namespaces
#   TIMEOUT   how long uninstall waits for them (5m)
set -euo pipefail
cd "$(dirname "$0")"

OVERLAY="${OVERLAY:-standalone}"
IMG="${IMG:-}"
KUBECTL="${KUBECTL:-kubectl}"
CONFIRM="${CONFIRM:-}"
TIMEOUT="${TIMEOUT:-5m}"

# Objects with this label stay when the controller goes: Profiles, and the bindings of users, depend on them.
KEPT='profiles.kubeflow.org/undeploy=keep'
IMAGE='ghcr.io/kubeflow/profile-controller'
CRD='profiles.kubeflow.org'
DEPLOYMENT='profiles-deployment'
SERVICE_ACCOUNT='profiles-controller-service-account'
BINDING='profiles-cluster-rolebinding'
ROLES='profiles-controller-role profiles-kfam-role'
FINALIZER='profile-finalizer'

say() { printf '%s\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

main() {
  [ $# = 1 ] || fail "usage: $0 install|deploy|undeploy|uninstall"
  command -v "$KUBECTL" >/dev/null || fail "KUBECTL: there is no $KUBECTL; install kubectl, or name it with KUBECTL=path"
  case "$1" in
    install) install_crd ;;
    deploy) render; deploy ;;
    undeploy) render; undeploy ;;
    uninstall) render; uninstall ;;
    *) fail "$1 is not known: use install, deploy, undeploy or uninstall" ;;
  esac
}

# The Profile kind alone, for a controller that runs outside of the cluster.
install_crd() {
  "$KUBECTL" apply -k base/crd
  "$KUBECTL" wait --for=condition=Established --timeout=60s "crd/$CRD"
}

deploy() {
  make_way
  "$KUBECTL" apply -f "$manifest"
  name_excess_permissions
  say "Watch it start: $KUBECTL -n $namespace rollout status deployment/$DEPLOYMENT"
}

undeploy() {
  "$KUBECTL" delete -f "$manifest" --ignore-not-found -l "${KEPT/=/!=}"
  say "Profiles, their namespaces and what they depend on are still there. make uninstall deletes them."
}

uninstall() {
  delete_profiles
  "$KUBECTL" delete -f "$manifest" --ignore-not-found
}

# What a kustomization makes, with the image that was asked for, as a file.
render() {
  [ -f "overlays/$OVERLAY/kustomization.yaml" ] ||
    fail "OVERLAY: there is no overlay $OVERLAY; there are: $(cd overlays && echo *)"
  case "$IMG" in
    *[!A-Za-z0-9._/:@-]* | *[/:@]) fail "IMG: $IMG is not the name of an image, such as $IMAGE:v1.2.3" ;;
  esac
  # Beside the overlays, because a kustomization refers to others by relative paths only.
  wrapper="$(mktemp -d ./.rendered-XXXXXX)"
  trap 'rm -rf "$wrapper"' EXIT
  manifest="$wrapper/manifest.yaml"
  wrap > "$wrapper/kustomization.yaml"
  "$KUBECTL" kustomize "$wrapper" > "$manifest"
  namespace="$(awk '/^kind: /{kind=$2} kind=="Deployment" && /^  namespace: /{print $2; exit}' "$manifest")"
}

wrap() {
  say "resources: [../overlays/$OVERLAY]"
  case "${IMG##*/}" in
    '') ;;
    *@*) say "images: [{name: $IMAGE, newName: '${IMG%@*}', digest: '${IMG#*@}'}]" ;;
    *:*) say "images: [{name: $IMAGE, newName: '${IMG%:*}', newTag: '${IMG##*:}'}]" ;;
    *) say "images: [{name: $IMAGE, newName: '$IMG', newTag: latest}]" ;;
  esac
}

# The Go controller left objects of these names with fields that cannot be changed. Nothing belongs to them that would go too.
make_way() {
  local role selector wanted
  role="$("$KUBECTL" get clusterrolebinding "$BINDING" --ignore-not-found -o 'jsonpath={.roleRef.name}')"
  if [ -n "$role" ] && [ "$role" != profiles-controller-role ]; then
    say "ClusterRoleBinding $BINDING is to $role, which cannot be changed: it is made anew"
    "$KUBECTL" delete clusterrolebinding "$BINDING"
  fi
  selector="$("$KUBECTL" -n "$namespace" get deployment "$DEPLOYMENT" --ignore-not-found \
    -o 'jsonpath={.spec.selector.matchLabels}')"
  wanted='{"app":"profile-controller","app.kubernetes.io/component":"controller-manager"}'
  if [ -n "$selector" ] && [ "$selector" != "$wanted" ]; then
    say "Deployment $DEPLOYMENT selects $selector, which cannot be changed: it is made anew"
    "$KUBECTL" -n "$namespace" delete deployment "$DEPLOYMENT" --cascade=foreground --timeout=60s
  fi
}

# The Go controller was cluster-admin, in some releases through a binding of another name.
name_excess_permissions() {
  local bindings binding role
  bindings="$("$KUBECTL" get clusterrolebindings -o go-template='{{range .items}}{{$b := .}}{{range .subjects}}{{if and (eq .kind "ServiceAccount") (eq .name "'"$SERVICE_ACCOUNT"'") (eq .namespace "'"$namespace"'")}}{{$b.metadata.name}} {{$b.roleRef.name}}{{"\n"}}{{end}}{{end}}{{end}}')"
  while read -r binding role; do
    [ -n "$binding" ] || continue
    case " $ROLES " in
      *" $role "*) ;;
      *) say "ClusterRoleBinding $binding gives the controller $role, which it does not need: $KUBECTL delete clusterrolebinding $binding" ;;
    esac
  done <<< "$bindings"
}

# Profiles go while the controller is there, which revokes what was granted outside the cluster, and before their kind goes, without
# which nobody would delete their namespaces.
delete_profiles() {
  local profiles held namespaces
  [ -n "$("$KUBECTL" get crd "$CRD" --ignore-not-found -o name)" ] || return 0
  profiles="$("$KUBECTL" get profiles.kubeflow.org -o name)"
  [ -n "$profiles" ] || return 0
  namespaces="$(owned_namespaces)"
  say "In the cluster $("$KUBECTL" config current-context 2>/dev/null || say 'of this pod'), these Profiles would be deleted:"
  "$KUBECTL" get profiles.kubeflow.org -o custom-columns='PROFILE:.metadata.name,OWNER:.spec.owner.name'
  say "and these namespaces with everything in them:"
  say "${namespaces:-none}"
  [ "$CONFIRM" = yes ] || fail "Nothing was deleted. If that is what you want: make uninstall OVERLAY=$OVERLAY CONFIRM=yes"

  held="$("$KUBECTL" get profiles.kubeflow.org -o go-template='{{range .items}}{{$p := .}}{{range .metadata.finalizers}}{{if eq . "'"$FINALIZER"'"}}{{$p.metadata.name}} {{end}}{{end}}{{end}}')"
  if [ -n "$held" ] && ! controller_is_ready; then
    fail "Nothing was deleted: something is granted outside the cluster to $held, and the controller in namespace $namespace is not ready to revoke it. Mend it, or deploy it again, first."
  fi
  "$KUBECTL" delete profiles.kubeflow.org --all --timeout="$TIMEOUT" ||
    fail "Some Profiles are still there, and so is the controller. Their status says what stands in the way: $KUBECTL get profiles"
  # shellcheck disable=SC2086 # one argument each
  [ -z "$namespaces" ] || "$KUBECTL" wait --for=delete --timeout="$TIMEOUT" $(printf 'namespace/%s ' $namespaces)
}

# Those that garbage collection deletes with a Profile.
owned_namespaces() {
  "$KUBECTL" get namespaces -o go-template='{{range .items}}{{$n := .metadata.name}}{{range .metadata.ownerReferences}}{{if eq .kind "Profile"}}{{$n}}{{"\n"}}{{end}}{{end}}{{end}}'
}

controller_is_ready() {
  local ready
  ready="$("$KUBECTL" -n "$namespace" get deployment "$DEPLOYMENT" --ignore-not-found -o 'jsonpath={.status.readyReplicas}')"
  [ "${ready:-0}" != 0 ]
}

main "$@"
