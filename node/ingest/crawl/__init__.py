"""Crawl: from pages to their images, politely, durably, and into the one pipeline that every image goes through.

`page`, `robots`, `scope` and `pace` decide and are pure; `frontier` is what is known and still to be visited, in
`crawls.db`; `crawler` does one crawl; `job` makes a job of it.

An image that many pages show is one original, one root and one pin. The pin's name and origin are those under which it
was first found; every page that shows it is written down in `crawls.db` (`sightings`), which outlives the crawl. A pin
cannot hold them: its id is made of flow, root, name and origin, so that a pin for each page would be as many records
for the whole swarm, and one record with all pages would be written anew at each page.
"""
