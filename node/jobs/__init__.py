"""Durable jobs: work that outlives its client, a crash and a power cut, and does no finished step twice.

`job` and `rules` are pure: what a job is, and what may become of it. `ledger` keeps jobs in `jobs.db`, a file of its own,
because the catalogue is a cache that may be made anew from the files, and a queue is not. `queue` runs them.

How a source (or any other long work) becomes a job:

1. Write a handler: an object with the attributes and the one method of `handler.Handler`, such as
   `node.ingest.extern.Extern`. Its `run` gets a `handler.Run`:
   - `run.request` is what was submitted: JSON values, so that an older release's job can be read by a newer one.
   - `run.result_of("fetched")` is what that step left when it was finished, in this run or in one before a crash;
     None where it is still to be done.
   - `await run.step("fetched", {...})` says that a step is finished; what it left is durable when that returns. Files
     that it names lie in `await run.make_folder()`, which stays until the job has ended, and are to be fsynced before.
   - `run.progress(done, total)` is shown, and not kept.
2. `run` returns the job's result (JSON values; `root` in it is the image that was made). It raises `node.errors.UserError`
   where trying again is of no use, `errors.Trouble` where it may be; a retryable `StoreError` is trouble, too.
   It is cancelled at a pause, a cancel and a stop of the daemon: clean up as for any cancellation, keep the folder.
3. Register it where the daemon is put together: a line in `node.operations.registering`.
4. Submit with `await jobs.submit(kind, request, name=...)`, where `key` names what is not to be queued twice: as long as
   a job with that key is known, that one is returned. `await jobs.ended(id)` waits for it.

The queue decides when it runs: the highest priority first, then the oldest; no more at once than the handler says.
"""
