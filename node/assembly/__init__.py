"""A daemon is put together here: which part knows which. Nothing decides; the hooks only pass on."""
