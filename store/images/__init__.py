"""From the bytes of an image to the files of its directory: check, facts, variants.

`build.build_image` does it all and imports Pillow and numpy: run it in a worker process (`worker`), for the bytes are a
stranger's. `facts`, `sniff`, `limits`, `worker` and `directory` import neither and are for everyone.
"""
