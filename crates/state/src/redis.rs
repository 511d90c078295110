//! State of many hosts, in Redis or Valkey.
