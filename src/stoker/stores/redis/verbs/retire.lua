-- uses: workers
forget_worker(ask.worker)
