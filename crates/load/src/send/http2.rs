//! HTTP/2: many requests at a time on a few shared connections.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::SendRequest;

use crate::record::{ErrorKind, FALLBACK_HEADER};
use crate::scenario::Jar;
use crate::send::connect::{Connector, Spoken};
use crate::send::sample::{Sample, Samples};
use crate::send::{Answered, Failure};

/// Large enough that the client's windows do not set the pace.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

const FALLBACK: http::HeaderName = http::HeaderName::from_static(FALLBACK_HEADER);

/// The connections of one thread.
#[derive(Default)]
pub(crate) struct Connections {
    open: RefCell<Vec<Rc<Connection>>>,
    /// Held while one is opened, so that those who need one as well find it rather than open a crowd of them.
    opening: tokio::sync::Mutex<()>,
}

struct Connection {
    sender: SendRequest<Bytes>,
    /// Requests that hold a place on it.
    users: Cell<usize>,
    /// It takes no further request: it is closed, or the server said that it goes away and finishes what it has.
    is_over: Rc<Cell<bool>>,
}

/// A place on a connection: one request at a time.
pub(crate) struct Place(Rc<Connection>);

impl Connections {
    pub(crate) fn count(&self) -> usize {
        self.open.borrow().iter().filter(|connection| !connection.is_over.get()).count()
    }

    /// A place on a connection that has room, which may have to be opened; `opened` is called then.
    pub(crate) async fn place(&self, connector: &Connector, streams_max: usize, opened: impl Fn()) -> Result<Place, Failure> {
        if let Some(place) = self.free(streams_max) {
            return Ok(place);
        }
        let _opening = self.opening.lock().await;
        if let Some(place) = self.free(streams_max) {
            return Ok(place);
        }
        let connection = Rc::new(open(connector).await?);
        opened();
        self.open.borrow_mut().push(Rc::clone(&connection));
        Ok(Place::take(connection))
    }

    fn free(&self, streams_max: usize) -> Option<Place> {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| connection.takes_requests());
        let has_room =
            |connection: &&Rc<Connection>| connection.users.get() < streams_max.min(connection.sender.current_max_send_streams()).max(1);
        open.iter().find(has_room).map(|connection| Place::take(Rc::clone(connection)))
    }
}

async fn open(connector: &Connector) -> Result<Connection, Failure> {
    let (stream, spoken) = connector.connect().await?;
    if spoken != Spoken::Http2 {
        return Err(Failure::new(ErrorKind::Protocol, "the server no longer speaks HTTP/2"));
    }
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(STREAM_WINDOW_BYTES).initial_connection_window_size(CONNECTION_WINDOW_BYTES).enable_push(false);
    let (sender, connection) = builder.handshake(stream).await.map_err(Failure::http2)?;
    let is_over = Rc::new(Cell::new(false));
    let over = Rc::clone(&is_over);
    // It lives as long as its thread's runtime, or until the server closes it; its error reaches every request on it.
    tokio::task::spawn_local(async move {
        let _ = connection.await;
        over.set(true);
    });
    Ok(Connection { sender, users: Cell::new(0), is_over })
}

impl Connection {
    /// Asks the library, too: it knows before any request does that the server goes away.
    fn takes_requests(&self) -> bool {
        let ready = self.sender.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
        if matches!(ready, Poll::Ready(Err(_))) {
            self.is_over.set(true);
        }
        !self.is_over.get()
    }
}

impl Place {
    fn take(connection: Rc<Connection>) -> Self {
        connection.users.set(connection.users.get() + 1);
        Self(connection)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.takes_requests()
    }

    /// Sends the request and waits for the whole answer. Dropping the future resets the stream.
    pub(crate) async fn exchange(
        &mut self,
        message: http::Request<()>,
        body: Vec<u8>,
        jar: Option<&RefCell<Jar>>,
        samples: &Samples,
    ) -> Result<Answered, Failure> {
        let mut sender = self.0.sender.clone();
        poll_fn(|context| sender.poll_ready(context)).await.map_err(|error| Failure::http2(error).before_answer())?;
        let (answer, mut stream) = sender.send_request(message, body.is_empty()).map_err(Failure::http2)?;
        if !body.is_empty() {
            stream.send_data(Bytes::from(body), true).map_err(Failure::http2)?;
        }
        let (head, mut body) = answer.await.map_err(Failure::http2)?.into_parts();
        if let Some(jar) = jar {
            for field in head.headers.get_all(http::header::SET_COOKIE) {
                jar.borrow_mut().store(field.as_bytes());
            }
        }
        let status = head.status.as_u16();
        let is_fallback = head.headers.contains_key(&FALLBACK);
        let content_type = || head.headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        let mut sample = samples.want(status).then(|| Sample::new(status, content_type()));
        let mut body_bytes = 0;
        while let Some(data) = body.data().await {
            let data = data.map_err(|error| Failure { before_answer: false, ..Failure::http2(error) })?;
            body_bytes += data.len() as u64;
            if let Some(sample) = &mut sample {
                sample.add(&data);
            }
            body.flow_control().release_capacity(data.len()).map_err(Failure::http2)?;
        }
        if let Some(sample) = sample {
            samples.keep(sample);
        }
        Ok(Answered { status, body_bytes, is_fallback })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.users.set(self.0.users.get() - 1);
    }
}
