return {
  status = "Progressing",
  message = "Creating",
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
        { type = "Ready", status = "False", reason = "Creating", message = "no Deployment yet: repo" },
        { type = "Progressing", status = "True", reason = "Creating", message = "repo: waits for migrate" },
        { type = "Degraded", status = "False", reason = "AsExpected", message = "nothing is wrong" },
      },
    },
  },
}
