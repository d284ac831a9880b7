{{- /*
Three lines for an agent's Deployment: under initContainers, volumes, and a container's env.
  {{- include "pointsman.sidecar" . | nindent 8 }}
  {{- include "pointsman.volumes" . | nindent 8 }}
  {{- include "pointsman.env" . | nindent 12 }}
They work in this chart and in one that depends on it, whose values for it stand under `pointsman`.
*/ -}}
{{- define "pointsman.sidecarValues" -}}
{{- $own := eq .Chart.Name "pointsman" -}}
{{- toYaml (ternary .Values (.Values.pointsman | default dict) $own) -}}
{{- end -}}

{{- define "pointsman.sidecar" -}}
{{- $all := include "pointsman.sidecarValues" . | fromYaml -}}
{{- $sidecar := required "pointsman.sidecar: the chart must depend on pointsman by that name" $all.sidecar -}}
{{- $chart := ternary .Chart ((.Subcharts).pointsman).Chart (eq .Chart.Name "pointsman") -}}
{{- $url := $sidecar.controllerUrl -}}
{{- if and (not $url) (eq .Chart.Name "pointsman") }}{{ $url = include "pointsman.url" . }}{{ end -}}
- name: pointsman
  # A native sidecar: it starts before the agent, stops after it, and does not keep a Job from ending.
  restartPolicy: Always
  image: {{ include "pointsman.image" (dict "image" $sidecar.image "global" (default $all.global .Values.global) "version" $chart.AppVersion) }}
  imagePullPolicy: {{ $sidecar.image.pullPolicy }}
  {{- with $sidecar.providerKeys }}
  envFrom:
    {{- range . }}
    - secretRef: {name: {{ . }}}
    {{- end }}
  {{- end }}
  env:
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: POINTSMAN_RULES, value: {{ required "sidecar.controllerUrl: the controller's URL, such as http://pointsman.pointsman.svc:4200" $url | quote }}}
    - {name: POINTSMAN_ADMIN, value: "{{ $sidecar.adminHost }}:{{ $sidecar.adminPort }}"}
    - {name: POINTSMAN_ALLOW_HOST, value: "$(POD_IP)"}
    - {name: POINTSMAN_STATE, value: /var/lib/pointsman}
    - {name: POINTSMAN_DRAIN, value: {{ $sidecar.drainSeconds | quote }}}
    - {name: POINTSMAN_PUBLIC_KEY, value: /etc/pointsman/key/signing.pub}
    - {name: POINTSMAN_CONTROLLER_TOKEN, value: /var/run/secrets/pointsman/{{ ternary "sidecar.token" "token" (not (empty $sidecar.token.existingSecret)) }}}
    {{- if $sidecar.controllerCaSecret }}
    - {name: POINTSMAN_CONTROLLER_CA, value: /etc/pointsman/ca/ca.crt}
    {{- end }}
    {{- with $sidecar.useCase }}
    - {name: POINTSMAN_USE_CASE, value: {{ . | quote }}}
    {{- end }}
    {{- with $sidecar.agent }}
    - {name: POINTSMAN_AGENT, value: {{ . | quote }}}
    {{- end }}
    {{- with $sidecar.serves }}
    - {name: POINTSMAN_SERVES, value: {{ join " " . | quote }}}
    {{- end }}
    {{- with $sidecar.redis.existingSecret }}
    - {name: POINTSMAN_REDIS_URL, valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $sidecar.redis.key }}}}}
    {{- end }}
    {{- with $sidecar.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: pointsman-admin, containerPort: {{ $sidecar.adminPort }}}
  # Ready with rules in hand, also old ones: a controller or a provider that is away never takes the agent out of service.
  startupProbe:
    httpGet: {path: /readyz, port: pointsman-admin, httpHeaders: [{name: Host, value: localhost}]}
    periodSeconds: 1
    failureThreshold: 120
  readinessProbe:
    httpGet: {path: /readyz, port: pointsman-admin, httpHeaders: [{name: Host, value: localhost}]}
    periodSeconds: 5
  livenessProbe:
    httpGet: {path: /healthz, port: pointsman-admin, httpHeaders: [{name: Host, value: localhost}]}
    periodSeconds: 10
    failureThreshold: 6
  resources:
    {{- toYaml $sidecar.resources | nindent 4 }}
  securityContext:
    {{- include "pointsman.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: pointsman-state, mountPath: /var/lib/pointsman}
    - {name: pointsman-key, mountPath: /etc/pointsman/key, readOnly: true}
    - {name: pointsman-token, mountPath: /var/run/secrets/pointsman, readOnly: true}
    {{- if $sidecar.controllerCaSecret }}
    - {name: pointsman-ca, mountPath: /etc/pointsman/ca, readOnly: true}
    {{- end }}
    {{- with $sidecar.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}

{{- define "pointsman.volumes" -}}
{{- $sidecar := (include "pointsman.sidecarValues" . | fromYaml).sidecar -}}
- name: pointsman-state
  emptyDir: {sizeLimit: {{ $sidecar.stateSize }}}
- name: pointsman-key
  configMap: {name: {{ $sidecar.publicKey.configMap }}}
- name: pointsman-token
  {{- if $sidecar.token.existingSecret }}
  secret: {secretName: {{ $sidecar.token.existingSecret }}}
  {{- else }}
  projected:
    sources:
      - serviceAccountToken: {audience: {{ $sidecar.token.audience }}, expirationSeconds: 3600, path: token}
  {{- end }}
{{- with $sidecar.controllerCaSecret }}
- name: pointsman-ca
  secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end -}}

{{- define "pointsman.env" -}}
- {name: OPENAI_BASE_URL, value: "http://127.0.0.1:4100/v1"}
- {name: ANTHROPIC_BASE_URL, value: "http://127.0.0.1:4100"}
- {name: GOOGLE_GEMINI_BASE_URL, value: "http://127.0.0.1:4100"}
{{- end -}}
