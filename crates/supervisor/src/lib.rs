//! Runs instances: plans, starts, restarts and stops processes.
