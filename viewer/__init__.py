"""Where frames leave: in order, into files, pages and windows."""
