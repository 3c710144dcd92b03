"""When things recur: expressions, time zones, next ticks, and what a schedule does at each. Nothing here does I/O."""
