"""Apache Kafka: the cluster and its topics. Empty: the provider of topics imports no more than it needs."""
