{{- /* The labels of everything; not those of selectors, which have fewer and cannot be changed. */ -}}
{{- define "profiles.labels" -}}
{{ include "profiles.selector" . }}
kustomize.component: profiles
{{- end }}

{{- define "profiles.selector" -}}
app: profile-controller
app.kubernetes.io/component: controller-manager
{{- end }}

{{- /* The labels of what belongs to a part: (list . "kfam") */ -}}
{{- define "profiles.partLabels" -}}
app: profile-controller
app.kubernetes.io/component: {{ last . }}
kustomize.component: profiles
{{- end }}

{{- define "profiles.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "profiles.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "profiles.ingressGateway" -}}
{{ .Values.principals.istioIngressGateway | default "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account" }}
{{- end }}

{{- /*
The objects of a file of files/, which `cargo xtask gen-crd` copies from the kustomizations. `labels` are added to theirs;
`namespace` is true for objects that live in one. Those that Profiles and users depend on stay when the release goes.
*/ -}}
{{- define "profiles.copied" -}}
{{- $given := . -}}
{{- range $document := splitList "\n---\n" (.root.Files.Get (printf "files/%s" .file)) }}
{{- $object := fromYaml $document }}
{{- $metadata := $object.metadata }}
{{- $labels := merge (dict) ($given.labels | default dict) ($metadata.labels | default dict) }}
{{- if $labels }}{{ $_ := set $metadata "labels" $labels }}{{ end }}
{{- if $given.namespace }}{{ $_ := set $metadata "namespace" $given.root.Release.Namespace }}{{ end }}
{{- if eq (get $labels "profiles.kubeflow.org/undeploy") "keep" }}
{{- $_ := set $metadata "annotations" (dict "helm.sh/resource-policy" "keep") }}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
