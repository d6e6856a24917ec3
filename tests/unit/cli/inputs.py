"""What people have: manifests as kustomize, Helm and kubectl print them, and ECS services."""

from __future__ import annotations

PLAIN = """\
# The shop's front.
apiVersion: apps/v1   # soon another one
kind: Deployment
metadata:
  name: web  # the name
  labels: {app: web}
spec:
  replicas: 3
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      # one is enough
      - name: web
        image: "web:1"   # pinned
        readinessProbe:
          httpGet: {path: /, port: 80}
"""

HELM = """\
---
# Source: shop/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports:
  - port: 80
---
# Source: shop/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app.kubernetes.io/managed-by: Helm
spec:
  # no replicas: the autoscaler sets them
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
      annotations:
    spec:
      securityContext:
      containers:
        - name: web
          image: web:1
          args:
            - |
              one
              two

---
# Source: shop/templates/hpa.yaml
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: web
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: web
  maxReplicas: 5
"""

LIVE = """\
apiVersion: v1
kind: List
items:
- apiVersion: apps/v1
  kind: Deployment
  metadata:
    annotations:
      deployment.kubernetes.io/revision: "4"
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"apps/v1","kind":"Deployment"}
    creationTimestamp: "2026-11-01T00:00:00Z"
    generation: 4
    name: web
    resourceVersion: "12345"
    uid: 2f7e5e0c-0000-0000-0000-000000000000
  spec:
    progressDeadlineSeconds: 600
    replicas: 1
    selector:
      matchLabels: {app: web}
    strategy: {}
    template:
      metadata:
        creationTimestamp: null
        labels: {app: web}
      spec:
        containers:
        - image: web:1
          name: web
          resources: {}
  status:
    availableReplicas: 1
    conditions:
    - status: "True"
      type: Available
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: settings}
"""

JSON = """\
{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "creationTimestamp": null},
 "spec": {"selector": {"matchLabels": {"app": "web"}}, "strategy": {}, "template": {
   "metadata": {"labels": {"app": "web"}, "creationTimestamp": null},
   "spec": {"containers": [{"name": "web", "image": "web:1", "resources": {}}]}}},
 "status": {}}
"""

ECS_API = """\
{
  "services": [{
    "serviceName": "Shop_Web",
    "serviceArn": "arn:aws:ecs:eu-central-1:1:service/shop/Shop_Web",
    "status": "ACTIVE",
    "desiredCount": 25,
    "runningCount": 25,
    "launchType": "FARGATE",
    "taskDefinition": "arn:aws:ecs:eu-central-1:1:task-definition/shop:7",
    "healthCheckGracePeriodSeconds": 30,
    "schedulingStrategy": "REPLICA",
    "loadBalancers": [{"targetGroupArn": "arn:x", "containerName": "web", "containerPort": 80}],
    "deploymentConfiguration": {
      "deploymentCircuitBreaker": {
        "enable": true,
        "rollback": true,
        "resetOnHealthyTask": false,
        "thresholdConfiguration": {"type": "UNBOUNDED_PERCENT", "value": 20}
      },
      "maximumPercent": 150,
      "minimumHealthyPercent": 75,
      "strategy": "ROLLING",
      "bakeTimeInMinutes": 0,
      "alarms": {"alarmNames": ["errors"], "enable": true, "rollback": true}
    }
  }]
}
"""

CLOUDFORMATION = """\
AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Count: {Type: Number}
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      Family: web
      ContainerDefinitions:
        - Name: web
          Image: registry.example.com/web:1.4
          Essential: true
          EntryPoint: [node]
          Command: [server.js]
          Cpu: 256
          PortMappings: [{ContainerPort: 3000}]
          Environment: [{Name: MODE, Value: production}]
          HealthCheck:
            Command: [CMD-SHELL, "curl -f http://localhost:3000/ || exit 1"]
            Interval: 10
            StartPeriod: 15
  Service:
    Type: AWS::ECS::Service
    Properties:
      ServiceName: !Sub "${AWS::StackName}-web"
      DesiredCount: !Ref Count
      TaskDefinition: !Ref Task
      DeploymentConfiguration:
        MinimumHealthyPercent: "100"
        MaximumPercent: 200
        DeploymentCircuitBreaker: {Enable: true, Rollback: true}
      NetworkConfiguration:
        AwsvpcConfiguration: {Subnets: [subnet-1]}
"""

SERVERLESS = """\
service: ecs-circuit-breaker
provider:
  name: aws
fargate:
  clusterName: ecs-circuit-breaker-fargate
  memory: '0.5GB'
  cpu: 256
  cloudFormationResource:
    service: # Here we need to define DeploymentCircuirBreaker Rule under Deployment Configuration
      DeploymentConfiguration:
        DeploymentCircuitBreaker:
          Enable: true
          Rollback: false
  tasks:
    ecs-circuit-breaker:
      name: circuit-breaker
      image: your_docker_image
      service:
        desiredCount: 1
        maximumPercent: 200 # default value
        minimumHealthyPercent: 100 # default value
      cloudFormationResource:
        container:
          PortMappings:
            - ContainerPort: 3000
              HostPort: 3000
plugins:
  - serverless-fargate
"""

BARE = '{"deploymentCircuitBreaker": {"enable": true, "rollback": true}, "maximumPercent": 110}'

ALL = {
    "plain": PLAIN,
    "helm": HELM,
    "live": LIVE,
    "json": JSON,
    "ecs-api": ECS_API,
    "cloudformation": CLOUDFORMATION,
    "serverless": SERVERLESS,
    "bare": BARE,
}
