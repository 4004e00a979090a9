"""What crosses between processes: frames, their bytes, msgpack documents, queue names, records. Pure."""
