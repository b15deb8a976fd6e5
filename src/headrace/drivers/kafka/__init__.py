"""The worker on Kafka: carries out what a flow wants, with clients."""
