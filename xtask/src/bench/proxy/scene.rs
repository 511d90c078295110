//! Where a workload is played: how many routes, how many servers, which protocol.

#[derive(Clone, Copy)]
pub(super) struct Scene {
    /// Prefixes `/r0/`, `/r1/` … that lead to the origin; without any, every path does.
    pub routes: usize,
    pub servers: usize,
    pub tls: bool,
    pub http2: bool,
}

impl Scene {
    pub(super) const PLAIN: Self = Self { routes: 0, servers: 1, tls: false, http2: false };

    /// A path that leads to the origin; the last of many routes, for the sake of those that go through them one by one.
    pub(super) fn path(self) -> String {
        self.routes.checked_sub(1).map_or_else(|| "/".to_owned(), |last| format!("/r{last}/"))
    }

    /// Where a client asks a server on this port.
    pub(super) fn url(self, port: u16, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{port}{path}")
    }
}
