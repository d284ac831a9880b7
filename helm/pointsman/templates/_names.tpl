{{- define "pointsman.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- define "pointsman.fullname" -}}
{{- $name := include "pointsman.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "pointsman.selector" -}}
app.kubernetes.io/name: {{ include "pointsman.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: controller
{{- end -}}

{{- define "pointsman.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "pointsman.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pointsman.serviceAccount" -}}
{{- if .Values.controller.serviceAccount.create -}}
{{- default (include "pointsman.fullname" .) .Values.controller.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.controller.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* {image, global, version}: registry/repository@digest, or :tag. */ -}}
{{- define "pointsman.image" -}}
{{- $repository := .image.repository -}}
{{- with (.global).imageRegistry }}{{ $repository = printf "%s/%s" . $repository }}{{ end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .version) -}}
{{- end -}}
{{- end -}}

{{- define "pointsman.containerSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "pointsman.readsClusterKeys" -}}
{{- if .Values.controller.access.kubernetes.enabled }}true{{ end -}}
{{- end -}}

{{- define "pointsman.hasAccess" -}}
{{- if or .Values.controller.access.kubernetes.enabled .Values.controller.access.document }}true{{ end -}}
{{- end -}}

{{- define "pointsman.keepsState" -}}
{{- if and .Values.controller.persistence.enabled (not .Values.controller.database.existingSecret) }}true{{ end -}}
{{- end -}}

{{- define "pointsman.scheme" -}}
{{- if .Values.controller.tls.existingSecret }}https{{ else }}http{{ end -}}
{{- end -}}

{{- define "pointsman.url" -}}
{{- printf "%s://%s.%s.svc:%v" (include "pointsman.scheme" .) (include "pointsman.fullname" .) .Release.Namespace .Values.controller.service.port -}}
{{- end -}}

{{- /* Names by which the Service, Prometheus (by the pod's address) and people reach the API. */ -}}
{{- define "pointsman.hosts" -}}
{{- $name := include "pointsman.fullname" . -}}
{{- $service := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- concat (list "$(POD_IP)") $service .Values.controller.allowHosts | join "," -}}
{{- end -}}

{{- /* Labels by which a Prometheus picks its monitors and rules. */ -}}
{{- define "pointsman.monitorLabels" -}}
{{ include "pointsman.labels" . }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
