"""A cluster on one machine: PostgreSQL, three Temporal nodes, three RabbitMQ nodes, TLS everywhere."""
