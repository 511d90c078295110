//! How log lines look.
