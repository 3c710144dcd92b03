-- uses: workers
local known = worker_of(ask.worker)
keep(ask.worker, {
    until_ = now + ask.lease,
    seen = now,
    started = known and known.started or now,
    introduction = attached(1),
})
