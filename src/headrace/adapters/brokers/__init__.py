"""Redis and RabbitMQ: where they are, how they are reached, and messages copied from them."""
