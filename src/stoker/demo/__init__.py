"""The demo: one real job, searching the text that is installed on this machine. Run it with `stoker demo`."""
