//! What other servers call things: whoever comes from there writes their words first.

/// Words for keys of the same table. The first part is the path of the table.
const SAME_TABLE: &[(&str, &[&str], &str)] = &[
    ("route", &["path", "paths", "prefix", "location", "uri", "url", "pattern", "rule"], "match"),
    ("route", &["method", "verbs"], "methods"),
    ("route", &["hosts", "domain", "server_name", "hostname"], "host"),
    ("route", &["header"], "headers"),
    ("route", &["proxy_pass", "backend", "service", "target", "server", "pool", "forward"], "upstream"),
    ("route", &["rewrite", "replace_path"], "rewrite_path"),
    ("route", &["return", "static_response"], "respond"),
    ("route", &["body"], "respond_body"),
    ("route", &["root", "alias", "dir", "directory", "static"], "files"),
    ("route", &["try_files", "spa", "index"], "files_fallback"),
    ("route", &["add_header", "headers_up"], "response_headers_add"),
    ("route", &["proxy_set_header"], "request_headers_set"),
    ("route", &["mirror", "shadow"], "mirror_upstream"),
    ("route", &["timeout"], "total_timeout"),
    (
        "upstream",
        &["server", "url", "urls", "backends", "targets", "address", "addresses", "addr", "host", "hosts", "endpoints", "instances"],
        "servers",
    ),
    ("upstream", &["id"], "name"),
    ("upstream", &["health", "health_check", "healthcheck", "health_uri", "check"], "health_path"),
    (
        "upstream",
        &["cert", "certificate", "client_cert", "cert_file", "ssl_certificate", "tls_cert", "proxy_ssl_certificate"],
        "client_certificate",
    ),
    ("upstream", &["key", "key_file", "ssl_certificate_key", "tls_key", "proxy_ssl_certificate_key"], "client_key"),
    ("upstream", &["ca_file", "ca_cert", "cacert", "root_ca", "trusted_ca", "proxy_ssl_trusted_certificate"], "ca"),
    ("upstream", &["sni", "tls_server_name", "proxy_ssl_name"], "server_name"),
    ("upstream", &["verify", "ssl_verify", "proxy_ssl_verify", "insecure", "insecure_skip_verify"], "tls_verify"),
    ("upstream", &["algorithm", "lb_policy", "policy", "strategy"], "balance"),
    ("admin", &["listen", "addr", "address", "host"], "bind"),
];

/// Words for what stands elsewhere, with what to write.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["listen", "addr", "address", "host"], "write bind = \"0.0.0.0\" and port = 8080 under [gateway]"),
    (
        &["cert", "certs", "certificate", "ssl_certificate", "tls_cert", "key", "ssl_certificate_key", "key_file", "cert_file", "ssl"],
        "write certificates = [{ chain = \"fullchain.pem\", key = \"privkey.pem\" }] under [gateway.tls]",
    ),
    (
        &["tls"],
        "TLS with clients is [gateway.tls]; with https servers tls_verify, server_name, ca, client_certificate and client_key of their [[upstream]]",
    ),
    (&["acme", "letsencrypt"], "certificates are ordered under [gateway.tls.acme]"),
    (&["gzip", "brotli", "encode", "compress"], "answers are compressed under [gateway.compression]"),
    (&["access_log"], "write access = \"all\" under [log]"),
    (&["client_max_body_size", "max_body_size"], "write body_bytes_max under [gateway.limits], or in the [[route]]"),
    (&["proxy_read_timeout", "read_timeout"], "write first_byte under [gateway.timeouts], or first_byte_timeout in the [[route]]"),
    (&["keepalive_timeout", "idle_timeout"], "write idle under [gateway.timeouts]"),
    (&["retries", "max_retries"], "write attempts_max under [gateway.retry]"),
    (&["server", "servers", "backend", "backends", "services", "service"], "servers are those of an [[upstream]]"),
    (&["match", "path"], "it is a key of a route: write [[route]] above it"),
    (&["routes", "routers", "location", "locations"], "write [[route]] for each route"),
];

/// The key of this table that goes by another word elsewhere.
pub fn key(table: &str, word: &str) -> Option<&'static str> {
    let is_meant = |(of, words, _): &&(&str, &[&str], &str)| *of == table && words.iter().any(|each| each.eq_ignore_ascii_case(word));
    SAME_TABLE.iter().find(is_meant).map(|(_, _, key)| *key)
}

/// What to write instead of a word for something that stands elsewhere.
pub fn elsewhere(word: &str) -> Option<&'static str> {
    ELSEWHERE.iter().find(|(words, _)| words.iter().any(|each| each.eq_ignore_ascii_case(word))).map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::fields;
    use crate::config::table::Field;
    use crate::config::{Route, TABLES, Upstream};

    #[test]
    fn what_is_named_instead_is_there_and_the_word_is_not() {
        let names = |table: &str| -> Vec<_> {
            let inside = |path: &'static str| path.strip_prefix(table)?.strip_prefix('.');
            match table {
                "route" => Route::TABLE.fields.iter().map(Field::name).collect(),
                "upstream" => Upstream::TABLE.fields.iter().map(Field::name).collect(),
                _ => fields().filter_map(|field| inside(field.path)).collect(),
            }
        };
        for (table, words, key) in SAME_TABLE {
            assert!(names(table).contains(key), "{table}.{key}");
            let known: Vec<_> = words.iter().filter(|word| names(table).contains(word)).collect();
            assert!(known.is_empty(), "{table}: {known:?} need no synonym");
        }
        for header in ELSEWHERE.iter().flat_map(|(_, hint)| hint.split('[').skip(1)).filter_map(|rest| rest.split_once(']')) {
            let path = header.0;
            let is_known = path.is_empty() || ["route", "upstream"].contains(&path) || TABLES.iter().any(|table| table.path == path);
            assert!(is_known || path.starts_with("{ "), "[{path}]");
        }
    }
}
