{{- define "tripswitch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Names of cluster-wide objects: releases in two namespaces must not share them. */}}
{{- define "tripswitch.clusterName" -}}
{{- $name := include "tripswitch.fullname" . -}}
{{- if eq .Release.Namespace (printf "%s-system" $name) -}}
{{- $name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Namespace $name -}}
{{- end -}}
{{- end -}}

{{- define "tripswitch.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "tripswitch.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "tripswitch.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "tripswitch.labels" -}}
{{ include "tripswitch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end -}}

{{- define "tripswitch.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tripswitch.checkReferences" -}}
{{- if eq (toString .Values.checkReferences) "auto" -}}
{{- empty .Values.watchNamespaces -}}
{{- else -}}
{{- .Values.checkReferences -}}
{{- end -}}
{{- end -}}

{{/*
What the operator may do where the workloads are. Nothing more than its code asks for: the end-to-end
suite fails on a right that is missing, and on one that is never used.
*/}}
{{- define "tripswitch.rules" -}}
- apiGroups: [tripswitch.dev]
  resources: [guardeddeployments]
  verbs: [get, list, watch]
- apiGroups: [tripswitch.dev]
  resources: [guardeddeployments/status]
  verbs: [update]
# No request of its own: where owner references are enforced (OwnerReferencesPermissionEnforcement), one
# with blockOwnerDeletion asks for it.
- apiGroups: [tripswitch.dev]
  resources: [guardeddeployments/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [replicasets]
  verbs: [get, list, watch, create, patch, delete]
# Never a write on a pod but deleting one that missed its health deadline
{{- if .Values.failedPodRetention.enabled }}, and setting a failed one aside{{ end }}.
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, delete{{ if .Values.failedPodRetention.enabled }}, patch{{ end }}]
{{- if .Values.logEvidence }}
# The end of a failing container's log.
- apiGroups: [""]
  resources: [pods/log]
  verbs: [get]
{{- end }}
# list: the words of a failing pod's own Warning events.
- apiGroups: [""]
  resources: [events]
  verbs: [create, list, patch]
{{- if eq (include "tripswitch.checkReferences" .) "true" }}
# The names of those that a rollback would need (rule B9). Their metadata is asked for; a right cannot say so.
- apiGroups: [""]
  resources: [configmaps, serviceaccounts]
  verbs: [list]
{{- end }}
{{- if .Values.guardWorkloads.enabled }}
# create, patch, delete: the objects that the label tripswitch.dev/circuit-breaker asks for (rule G8).
- apiGroups: [tripswitch.dev]
  resources: [deploymentcircuitbreakers]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [tripswitch.dev]
  resources: [deploymentcircuitbreakers/status]
  verbs: [update]
# The revisions of a StatefulSet.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, watch]
{{- if eq .Values.guardWorkloads.mode "Enforce" }}
# patch: what a trip changes on a guarded workload, and takes back (rules G4 and G5).
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, patch]
- apiGroups: [apps]
  resources: [deployments/status, statefulsets/status]
  verbs: [patch]
{{- else }}
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch]
{{- end }}
{{- end }}
{{- end -}}
