"""Headrace on Kafka: the worker, its topics, and how both reach the brokers."""
