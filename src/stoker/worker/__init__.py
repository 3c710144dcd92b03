"""The worker: performs what the dispatcher decides."""
