"""What is durable: blocks, catalogue, images. Synchronous and thread-safe; imports neither other package."""
