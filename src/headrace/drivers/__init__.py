"""What carries out what a flow wants: Kafka, and Faust around it."""
