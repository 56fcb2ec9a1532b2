"""From a file, an upload or an address to an image that is stored, pinned and advertised."""
