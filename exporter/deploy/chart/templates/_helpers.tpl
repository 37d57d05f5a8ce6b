{{- define "exporter.selector" -}}
app.kubernetes.io/name: inferwatch-exporter
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "exporter.labels" -}}
{{ include "exporter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "exporter.discovery" -}}
{{ dig "kubernetes" "discovery" "auto" .Values.config }}
{{- end }}

{{- /* Text that is not empty where pods are asked of the API server: that takes a token and a ClusterRole. */ -}}
{{- define "exporter.asksApiServer" -}}
{{- if has (include "exporter.discovery" .) (list "auto" "api_server") }}true{{ end -}}
{{- end }}

{{- /* Text that is not empty where pods are asked of the kubelet's Pods API: that takes its socket. */ -}}
{{- define "exporter.asksPodsApi" -}}
{{- if has (include "exporter.discovery" .) (list "auto" "pods_api") }}true{{ end -}}
{{- end }}

{{- /* Text that is not empty where the user must be root: it owns the kubelet's sockets, and capabilities are its. */ -}}
{{- define "exporter.needsRoot" -}}
{{- if or .Values.kubelet.podResources (include "exporter.asksPodsApi" .) .Values.mig.monitor }}true{{ end -}}
{{- end }}

{{- define "exporter.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end -}}
{{- end -}}
{{- end }}
