"""Two private nodes of the machine's own `rabbitmq-server`: never the node that the machine itself runs."""
