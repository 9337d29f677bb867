return {
  status = "Progressing",
  message = "RollingOut",
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
        { type = "Progressing", status = "True", reason = "RollingOut", message = "logic: 1 of 2 pods are updated" },
        { type = "Degraded", status = "False", reason = "AsExpected", message = "nothing is wrong" },
        { type = "Reconciling", status = "True", reason = "RollingOut", message = "logic" },
      },
    },
  },
}
