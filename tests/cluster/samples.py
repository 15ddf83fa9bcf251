"""Objects of many kinds that an API server takes as they are, for tests that change something in them."""

from __future__ import annotations

from typing import Any

from floe import yamlio

_SAMPLES = """\
apiVersion: v1
kind: Pod
metadata:
  name: everything
  labels: {app: everything}
  annotations: {example.com/note: "some text"}
spec:
  automountServiceAccountToken: false
  restartPolicy: Never
  terminationGracePeriodSeconds: 30
  dnsPolicy: ClusterFirst
  nodeSelector: {kubernetes.io/os: linux}
  hostAliases: [{ip: 127.0.0.1, hostnames: [here.example.com]}]
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, supplementalGroups: [2000], seccompProfile: {type: RuntimeDefault}}
  tolerations: [{key: dedicated, operator: Equal, value: data, effect: NoSchedule}]
  topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: everything}}}
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a, b]}]}]
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
      - {weight: 10, podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: everything}}}}
  initContainers:
  - {name: wait, image: "busybox:1.36", command: [sh, -c, "true"], resources: {requests: {cpu: 10m, memory: 16Mi}, limits: {memory: 32Mi}}}
  containers:
  - name: main
    image: registry.example.com/main:1.2.3
    imagePullPolicy: IfNotPresent
    args: [--listen, "0.0.0.0:8080"]
    workingDir: /srv
    env:
    - {name: PLAIN, value: "on"}
    - {name: FROM_CONFIG, valueFrom: {configMapKeyRef: {name: settings, key: a, optional: true}}}
    - {name: FROM_FIELD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: FROM_RESOURCE, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
    envFrom: [{prefix: A_, secretRef: {name: secrets}}, {configMapRef: {name: settings}}]
    ports: [{name: http, containerPort: 8080, protocol: TCP}]
    livenessProbe: {httpGet: {path: /live, port: http, scheme: HTTP, httpHeaders: [{name: X-A, value: b}]}, periodSeconds: 10}
    readinessProbe: {tcpSocket: {port: 8080}, initialDelaySeconds: 1}
    startupProbe: {exec: {command: ["true"]}, failureThreshold: 30}
    lifecycle: {preStop: {exec: {command: [sleep, "5"]}}}
    resources: {requests: {cpu: 500m, memory: 64Mi}, limits: {cpu: 1, memory: 128Mi}}
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: config, mountPath: /etc/main, readOnly: true}, {name: scratch, mountPath: /tmp, subPath: main}]
  volumes:
  - {name: config, configMap: {name: settings, defaultMode: 420, items: [{key: a, path: a.txt, mode: 256}]}}
  - {name: scratch, emptyDir: {sizeLimit: 1Gi, medium: Memory}}
  - {name: both, projected: {sources: [{secret: {name: secrets}}, {serviceAccountToken: {path: token, expirationSeconds: 3600}}]}}
  - {name: data, persistentVolumeClaim: {claimName: data}}
---
{apiVersion: v1, kind: Secret, metadata: {name: secrets}, type: Opaque, immutable: true, data: {a: aGVsbG8=}, stringData: {b: text}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {a: b, c.txt: "line\\nline\\n"}, binaryData: {d: aGVsbG8=}}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  type: ClusterIP
  selector: {app: web}
  sessionAffinity: ClientIP
  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
  ports: [{name: http, port: 80, targetPort: http, protocol: TCP}, {name: metrics, port: 9090, targetPort: 9090, appProtocol: http}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, volumeMode: Filesystem, resources: {requests: {storage: 10Gi}}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: web}, automountServiceAccountToken: false, imagePullSecrets: [{name: pull}]}
---
{apiVersion: v1, kind: LimitRange, metadata: {name: limits}, spec: {limits: [{type: Container, default: {memory: 1Gi}, defaultRequest: {cpu: 100m}}]}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: quota}, spec: {hard: {pods: "10", requests.cpu: 4, limits.memory: 8Gi}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: elsewhere, labels: {pod-security.kubernetes.io/enforce: restricted}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: manual
  hostPath: {path: /mnt/disk, type: DirectoryOrCreate}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  revisionHistoryLimit: 3
  minReadySeconds: 5
  progressDeadlineSeconds: 600
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
  selector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: Exists}]}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      serviceAccountName: web
      imagePullSecrets: [{name: pull}]
      containers: [{name: web, image: "web:1", ports: [{containerPort: 80}]}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  podManagementPolicy: OrderedReady
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Delete}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "db:1", volumeMounts: [{name: data, mountPath: /data}]}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  updateStrategy: {type: OnDelete}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostNetwork: true, containers: [{name: agent, image: "agent:1"}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  timeZone: Europe/Berlin
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 60
  successfulJobsHistoryLimit: 1
  suspend: false
  jobTemplate:
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: 3600
      ttlSecondsAfterFinished: 60
      template: {spec: {restartPolicy: OnFailure, containers: [{name: job, image: "job:1"}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {generateName: once-}
spec: {completions: 2, parallelism: 2, completionMode: Indexed, template: {spec: {restartPolicy: Never, containers: [{name: job, image: "job:1"}]}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 50%, selector: {matchLabels: {app: web}}, unhealthyPodEvictionPolicy: AlwaysAllow}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  minReplicas: 1
  maxReplicas: 5
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]
  behavior: {scaleDown: {stabilizationWindowSeconds: 60, policies: [{type: Pods, value: 1, periodSeconds: 60}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  ingressClassName: nginx
  tls: [{hosts: [web.example.com], secretName: web-tls}]
  rules:
  - host: web.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Ingress, Egress]
  ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: 80, protocol: TCP}]}]
  egress: [{to: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}]
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: reader}, rules: [{apiGroups: [""], resources: [pods], resourceNames: [a], verbs: [get, list]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: "example:reader"}, rules: [{nonResourceURLs: [/healthz], verbs: [get]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: web, namespace: default}, {kind: User, apiGroup: rbac.authorization.k8s.io, name: jane}]
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: high}, value: 1000, globalDefault: false, preemptionPolicy: Never, description: for tests}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, provisioner: example.com/fast, reclaimPolicy: Delete, volumeBindingMode: WaitForFirstConsumer, parameters: {type: ssd}, allowVolumeExpansion: true}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things, singular: thing, listKind: ThingList}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {size: {type: integer, minimum: 1}}}}}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: fork}
spec: {interval: 1m, url: "https://example.com/fork.git", ref: {branch: main}, secretRef: {name: git}, timeout: 60s}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: dagster}
spec: {interval: 1h, url: "https://example.com/helm", type: default}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: charts}
spec: {interval: 5m, url: "oci://example.com/charts", ref: {semver: ">=1.0.0"}, provider: generic}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: platform}
spec:
  interval: 10m
  path: ./overlays/prod
  prune: true
  wait: true
  sourceRef: {kind: GitRepository, name: fork}
  dependsOn: [{name: secrets}]
  decryption: {provider: sops, secretRef: {name: age}}
  postBuild: {substitute: {a: b}, substituteFrom: [{kind: ConfigMap, name: settings, optional: true}]}
  healthChecks: [{apiVersion: apps/v1, kind: Deployment, name: web, namespace: default}]
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: dagster}
spec:
  interval: 10m
  chart: {spec: {chart: dagster, version: 1.12.17, sourceRef: {kind: HelmRepository, name: dagster}, interval: 1h}}
  install: {remediation: {retries: 3}, crds: CreateReplace}
  upgrade: {remediation: {retries: 3, strategy: rollback}, cleanupOnFail: true}
  driftDetection: {mode: enabled, ignore: [{paths: [/spec/replicas], target: {kind: Deployment}}]}
  valuesFrom: [{kind: Secret, name: values, valuesKey: a, optional: true}]
  values: {anything: [1, two, {three: 3}]}
  postRenderers: [{kustomize: {patches: [{patch: "a: b", target: {kind: Deployment}}]}}]
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: platform}
spec:
  project: floe
  source: {repoURL: "https://example.com/fork.git", path: overlays/prod, targetRevision: main, kustomize: {images: ["a=b:1"]}}
  destination: {server: "https://kubernetes.default.svc", namespace: floe}
  syncPolicy: {automated: {prune: true, selfHeal: true}, syncOptions: [CreateNamespace=true], retry: {limit: 3, backoff: {duration: 5s, factor: 2}}}
  ignoreDifferences: [{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]
---
apiVersion: argoproj.io/v1alpha1
kind: ApplicationSet
metadata: {name: environments}
spec:
  goTemplate: true
  generators: [{git: {repoURL: "https://example.com/fork.git", revision: main, directories: [{path: "overlays/*"}]}}]
  template:
    metadata: {name: "{{ .path.basename }}"}
    spec: {project: floe, source: {repoURL: "https://example.com/fork.git", path: "{{ .path.path }}"}, destination: {name: in-cluster}}
---
apiVersion: argoproj.io/v1alpha1
kind: AppProject
metadata: {name: floe}
spec: {sourceRepos: ["*"], destinations: [{server: "*", namespace: "floe-*"}], clusterResourceWhitelist: [{group: "", kind: Namespace}]}
---
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: postgres}
spec:
  refreshInterval: 1h
  secretStoreRef: {kind: SecretStore, name: vault}
  target: {name: postgres, creationPolicy: Owner, template: {type: Opaque, data: {a: "{{ .password }}"}}}
  data: [{secretKey: password, remoteRef: {key: postgres, property: password}}]
  dataFrom: [{extract: {key: all}}]
---
apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: vault}
spec:
  provider:
    vault:
      server: "https://vault.example.com"
      path: secret
      version: v2
      auth: {kubernetes: {mountPath: kubernetes, role: floe, serviceAccountRef: {name: floe}}}
---
apiVersion: bitnami.com/v1alpha1
kind: SealedSecret
metadata: {name: sealed, annotations: {sealedsecrets.bitnami.com/namespace-wide: "true"}}
spec: {encryptedData: {a: AgBy}, template: {metadata: {name: sealed}, type: Opaque}}
"""


def samples() -> list[dict[str, Any]]:
    """One object of each kind, in the namespace `default` where it has one."""
    return [document.value for document in yamlio.documents(_SAMPLES, "samples")]
