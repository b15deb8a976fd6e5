"""The worker on Kafka: clients that carry out the effects of a flow."""
