{{- define "profiles.kfamContainer" -}}
- name: access-management
  image: {{ include "profiles.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command:
  - /access-management
  - -cluster-admin
  - $(ADMIN)
  - -userid-header
  - $(USERID_HEADER)
  - -userid-prefix
  - $(USERID_PREFIX)
  {{- $args := .Values.kfam.extraArgs }}
  {{- with .Values.kfam.dashboardPrincipals }}
  {{- $args = prepend $args (printf "--dashboard-principals=%s" (join "," .)) }}
  {{- end }}
  {{- with $args }}
  args:
    {{- toYaml . | nindent 2 }}
  {{- end }}
  envFrom:
  - configMapRef:
      name: profiles-config
  ports:
  - name: http-kfam
    containerPort: 8081
    protocol: TCP
  readinessProbe:
    httpGet:
      path: /readyz
      port: 8081
    periodSeconds: 10
  livenessProbe:
    httpGet:
      path: /healthz
      port: 8081
    initialDelaySeconds: 15
    periodSeconds: 20
  resources:
    {{- toYaml .Values.kfam.resources | nindent 4 }}
  securityContext:
    {{- include "profiles.containerSecurity" . | nindent 4 }}
{{- end }}
