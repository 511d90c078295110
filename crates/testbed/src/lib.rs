//! Real servers for tests: started on free ports in temporary directories, stopped on drop.
