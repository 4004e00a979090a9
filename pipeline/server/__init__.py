"""Everything that talks to the server: connections, transports, scripts, the Celery app, the embedded server."""
