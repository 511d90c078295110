//! State of the processes of one host, in one `SQLite` file.
