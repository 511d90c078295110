//! The operator's listener: metrics, status, stream, dashboard.
