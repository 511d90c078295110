//! Just enough of a WebSocket client (RFC 6455) to hear an echo.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use crate::http;

/// The key and the answer to it that the RFC gives as its example.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const TEXT: u8 = 0x81;
const MASK: [u8; 4] = [7, 77, 177, 217];

pub(crate) struct WebSocket(BufReader<TcpStream>);

impl WebSocket {
    pub(crate) fn open(port: u16, path: &str) -> Self {
        let mut stream = http::connect(port).unwrap();
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13";
        write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n{upgrade}\r\nSec-WebSocket-Key: {KEY}\r\n\r\n").unwrap();
        let answer = http::head(&mut stream).unwrap();
        assert_eq!((answer.status, answer.header("Sec-WebSocket-Accept")), (101, ACCEPT), "{answer:?}");
        Self(stream)
    }

    /// Sends a text and returns the next one.
    pub(crate) fn echo(&mut self, text: &str) -> String {
        let length = text.len();
        let mut frame = match length {
            0..126 => vec![TEXT, 0x80 | length as u8],
            126..=0xffff => [&[TEXT, 0x80 | 0x7e][..], &(length as u16).to_be_bytes()].concat(),
            _ => [&[TEXT, 0x80 | 0x7f][..], &(length as u64).to_be_bytes()].concat(),
        };
        frame.extend(MASK);
        frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.get_mut().write_all(&frame).unwrap();
        self.receive()
    }

    fn receive(&mut self) -> String {
        let [kind, length] = self.exactly::<2>();
        assert_eq!(kind, TEXT, "a whole text");
        let length = match length {
            126 => u64::from(u16::from_be_bytes(self.exactly())),
            127 => u64::from_be_bytes(self.exactly()),
            length => u64::from(length),
        };
        let mut text = vec![0; length as usize];
        self.0.read_exact(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn exactly<const COUNT: usize>(&mut self) -> [u8; COUNT] {
        let mut bytes = [0; COUNT];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}
