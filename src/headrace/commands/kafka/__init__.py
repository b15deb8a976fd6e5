"""Commands for the workers on Kafka, and the end of a bridge there."""
