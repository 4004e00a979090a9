"""Where frames enter: sources, and their way onto the wire."""
