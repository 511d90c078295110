//! The edge: accepts, balances, forwards.
