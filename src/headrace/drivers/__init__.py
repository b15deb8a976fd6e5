"""Drivers: an engine between files or in a program, a flow on Kafka, and Faust around that."""
