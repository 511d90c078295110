//! What is promised, as tests. Seeds are fixed; each claim is checked on several.
