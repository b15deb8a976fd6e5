"""Redis and RabbitMQ: their addresses, connections to them, and messages copied from them."""
