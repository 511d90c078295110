//! `[[route]]`: which requests it takes, and what is done with them.

mod made;

pub use made::{PLAIN, Wrong, type_of};

use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use plimsoll_gateway::action::Respond;
use plimsoll_gateway::route::{Pattern, Requirement};
use plimsoll_policy::fallback::BODY_BYTES_MAX;
use plimsoll_policy::priority::Priority;

use super::shape::{
    Choice, Directory, FieldName, FieldValue, Fields, File, HOUR, HeaderIs, HostPattern, KIB, List, MIB, MS, Maybe, MethodName, Name,
    Named, ParameterIs, PathPattern, Share, Size, TIB, Text, Time, Whole, choice,
};
use super::table::table;

/// Longer targets are a mistake.
const TARGET_BYTES_MAX: usize = 2048;

table! {
    /// Takes requests, and passes them to an upstream, sends them elsewhere or answers them. Of all routes that match, the most specific wins,
    /// wherever it stands: a host by its name before `*.example.com` before any host; then segment by segment from the left, written out
    /// before `{name}` before `/*`; then more conditions before fewer; then the one that stands first. See docs/routing.md.
    struct Route at [Route as "route"] {
        /// Path it matches: exactly, with everything below it when it ends in `/*`, with any segment where it has a `{name}`. `/{name...}` at the
        /// end is `/*` with a name.
        pattern as "match": Pattern = Pattern::parse("/*").expect("the pattern of everything is valid"), PathPattern;
        /// Host it matches; `*.example.com` is everything below a name. Left out, it matches every host.
        host: Option<String> = None, Maybe(HostPattern);
        /// Methods it matches; `GET` takes `HEAD`, too. Left out, it matches every method.
        methods: Option<Vec<Method>> = None, Maybe(List(MethodName));
        /// Header fields that must all be there, with this value where one is given.
        headers: Option<Vec<Requirement>> = None, Maybe(List(HeaderIs));
        /// Query parameters that must all be there, with this value where one is given.
        query: Option<Vec<Requirement>> = None, Maybe(List(ParameterIs));
        /// Name of the upstream that serves it. Left out, it is the fleet that `plimsoll run` started, or the only upstream there is.
        upstream: Option<String> = None, Maybe(Name);
        /// Whether what stands before `/*` in `match` is removed from the path on its way to the upstream.
        strip_prefix: Option<Switch> = None, Maybe(Choice::<Switch>::new());
        /// What takes the place of what stands before `/*` in `match`.
        replace_prefix: Option<String> = None, Maybe(Text { length_max: TARGET_BYTES_MAX });
        /// Path that the upstream gets instead, with named parts of the old one: `"/v2/{id}"`. The query stays as it is.
        rewrite_path: Option<String> = None, Maybe(Text { length_max: TARGET_BYTES_MAX });
        /// `Host` that the upstream gets instead of the client's, which stays in `X-Forwarded-Host`.
        set_host: Option<String> = None, Maybe(Text { length_max: 255 });
        /// Upstream that gets copies of some requests, marked with `X-Plimsoll-Mirror`. Its answers are thrown away.
        mirror_upstream: Option<String> = None, Maybe(Name);
        /// Share of the requests that are copied. Left out, it is all of them.
        mirror_share: Option<f64> = None, Maybe(Share);
        /// Copies under way at a time; beyond them none is made. Left out, it is 64.
        mirror_in_flight_max: Option<usize> = None, Maybe(Whole(1..=65_536));
        /// Body of a request that is copied. Never more than `gateway.retry.replay_bytes_max`. Left out, it is 64KiB.
        mirror_body_bytes_max: Option<u64> = None, Maybe(Size(0..=16 * MIB));
        /// Where clients are sent instead: a URL or a path, in which `{host}`, `{path}`, `{query}` and the names of `match` may stand, and `{port}` after the
        /// host.
        redirect: Option<String> = None, Maybe(Text { length_max: TARGET_BYTES_MAX });
        /// Status of the redirect: 301, 302, 303, 307 or 308. Left out, it is 308: for good, with the method unchanged.
        redirect_status: Option<u16> = None, Maybe(Whole(300..=399));
        /// Status that the edge itself answers with.
        respond: Option<u16> = None, Maybe(Whole(200..=599));
        /// Body of that answer.
        respond_body: Option<String> = None, Maybe(Text { length_max: Respond::BODY_BYTES_MAX });
        /// The same from a file, which is read at the start.
        respond_file: Option<PathBuf> = None, Maybe(File);
        /// Content type of that answer. Left out, it is told from the file's name, or `text/plain`.
        respond_type: Option<String> = None, Maybe(Text { length_max: 256 });
        /// Directory whose files are served: `/assets/*` with `dist` makes `/assets/app.js` the file `dist/app.js`. See docs/static-files.md.
        files: Option<PathBuf> = None, Maybe(Directory);
        /// File of that directory that pages get which are not there, such as "index.html" for applications that run in the browser.
        files_fallback: Option<PathBuf> = None, Maybe(File);
        /// Which files never change under their name, so that caches keep them for a year without asking: those with a hash of their content in
        /// their name, all, or none. Left out, it is `hashed`.
        files_immutable: Option<Immutable> = None, Maybe(Choice::<Immutable>::new());
        /// `Cache-Control` of good answers to GET and HEAD, in the place of what the application says, unless that is `private` or `no-store` or it
        /// sets a cookie. Of files, that of those which are not immutable; left out, it is `no-cache`.
        cache_control: Option<HeaderValue> = None, Maybe(FieldValue);
        /// The same for the CDN alone, in `CDN-Cache-Control`.
        cdn_cache_control: Option<HeaderValue> = None, Maybe(FieldValue);
        /// Whether answers may be compressed on their way out, where `[gateway.compression]` does.
        compress: Option<Switch> = None, Maybe(Choice::<Switch>::new());
        /// Header fields of requests that upstreams do not get.
        request_headers_remove: Option<Vec<HeaderName>> = None, Maybe(List(FieldName));
        /// Header fields that upstreams get in the place of the client's.
        request_headers_set: Option<Vec<(HeaderName, HeaderValue)>> = None, Maybe(Fields);
        /// Header fields that upstreams get beside the client's.
        request_headers_add: Option<Vec<(HeaderName, HeaderValue)>> = None, Maybe(Fields);
        /// Header fields of answers that clients do not get.
        response_headers_remove: Option<Vec<HeaderName>> = None, Maybe(List(FieldName));
        /// Header fields that clients get in the place of the answer's own. The edge's refusals stay as they are.
        response_headers_set: Option<Vec<(HeaderName, HeaderValue)>> = None, Maybe(Fields);
        /// Header fields that clients get beside the answer's own.
        response_headers_add: Option<Vec<(HeaderName, HeaderValue)>> = None, Maybe(Fields);
        /// How much its requests matter when not all can be served: `critical` goes first, `sheddable` is given up first. Left out, it is
        /// `normal`. A trusted proxy may say otherwise for one request in `X-Request-Priority`; anybody else may only ask for less.
        priority: Option<Priority> = None, Maybe(Choice::<Priority>::new());
        /// Time for the whole request, the answer's body included. A caller may ask for less in `X-Request-Timeout-Ms`.
        deadline: Option<Duration> = None, Maybe(Time(MS..=HOUR));
        /// In the place of `gateway.timeouts.total`.
        total_timeout: Option<Duration> = None, Maybe(Time(MS..=HOUR));
        /// In the place of `gateway.timeouts.first_byte`.
        first_byte_timeout: Option<Duration> = None, Maybe(Time(MS..=HOUR));
        /// In the place of `gateway.limits.body_bytes_max`.
        body_bytes_max: Option<u64> = None, Maybe(Size(0..=TIB));
        /// Whether its requests need a place below the load line. `off` is for requests that do no work while they are open, such as long polls.
        admission: Option<Switch> = None, Maybe(Choice::<Switch>::new());
        /// Whether a second instance may be asked while the first one is slow to answer. Only for requests that may be made twice.
        hedge: Option<Switch> = None, Maybe(Choice::<Switch>::new());
        /// Upstream that is asked, once, when no real answer can be had from the first.
        fallback_upstream: Option<String> = None, Maybe(Name);
        /// What is answered when no real answer can be had. With a status of 200 it stands in for data, so only GET and HEAD get it.
        fallback_body: Option<String> = None, Maybe(Text { length_max: BODY_BYTES_MAX });
        /// The same from a file, which is read at the start.
        fallback_file: Option<PathBuf> = None, Maybe(File);
        /// Status of that answer: 200, or 400 to 599. Left out, it is 503.
        fallback_status: Option<u16> = None, Maybe(Whole(200..=599));
        /// Content type of that answer. Left out, it is told from the file's name, or `text/plain`.
        fallback_type: Option<String> = None, Maybe(Text { length_max: 256 });
    }
}

choice! {
    /// Whether a policy applies.
    Switch { On = "on", Off = "off", }
}

choice! {
    /// Which files never change under their name.
    Immutable { Hashed = "hashed", All = "all", Off = "off", }
}

impl Named for Priority {
    const ALL: &'static [(&'static str, Self)] = &[("critical", Self::Critical), ("normal", Self::Normal), ("sheddable", Self::Sheddable)];
}

impl Route {
    /// Whether an upstream serves it.
    pub fn forwards(&self) -> bool {
        self.redirect.is_none() && self.respond.is_none() && self.files.is_none()
    }

    /// Whether it takes every request for its host and path.
    pub fn is_unconditional(&self) -> bool {
        let is_none = |list: Option<usize>| list.unwrap_or_default() == 0;
        is_none(self.methods.as_ref().map(Vec::len))
            && is_none(self.headers.as_ref().map(Vec::len))
            && is_none(self.query.as_ref().map(Vec::len))
    }
}

/// Copies under way at a time, and the largest body of one, if nothing is said.
pub const MIRROR_IN_FLIGHT_MAX: usize = 64;
pub const MIRROR_BODY_BYTES_MAX: u64 = 64 * KIB;
