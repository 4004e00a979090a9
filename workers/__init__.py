"""Workers: the room where pixels change. Styles, engines, the Celery task and the launcher of worker processes."""
