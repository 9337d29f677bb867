return {
  status = "Degraded",
  message = "KafkaAway",
  obj = {
    apiVersion = "gochat.io/v1alpha1",
    kind = "GoChatCluster",
    metadata = {
      name = "chat",
      generation = 2,
    },
    status = {
      observedGeneration = 2,
      conditions = {
        { type = "Ready", status = "True", reason = "AllServing", message = "ready pods: gateway: 2" },
        { type = "Progressing", status = "False", reason = "Settled", message = "all workloads run 0.2.0" },
        { type = "Degraded", status = "True", reason = "KafkaAway", message = "Kafka at kafka:9092 does not answer" },
      },
    },
  },
}
