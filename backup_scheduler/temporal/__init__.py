"""All requests to Temporal: the client, the namespace, stored jobs and lists of them."""
