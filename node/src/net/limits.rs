//! What one listener accepts at most, each number with its reason.

use std::time::Duration;

/// Bytes of an HTTP/1 request line with its headers, and of an HTTP/2 header list. Credentials of
/// our clients travel in the body; the longest header is a DPoP proof of under 4 KiB.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Header lines of one HTTP/1 request. The HTTP library's own bound, kept because any other value
/// costs it an allocation for each request.
pub const HEADERS_MAX: usize = 100;

/// Bytes of a request body. A form holds two tokens of at most 16 KiB and an assertion, and
/// percent-encoding can make them longer.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Connections open at once: with 16 KiB of buffers each it bounds them to 160 MiB.
const CONNECTIONS_MAX: usize = 10_000;

/// A handshake is two round trips; ten seconds suffice for the slowest mobile path.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// From the first byte of a request (or the start of a connection) to the end of its headers.
const HEADER_READ: Duration = Duration::from_secs(10);

/// From the end of the headers to the end of the body.
const BODY_READ: Duration = Duration::from_secs(10);

/// Longer than the pauses of a client that polls once a minute would waste; shorter than the 75 s
/// after which common proxies forget a connection.
const IDLE: Duration = Duration::from_secs(60);

/// A peer that takes no byte of an answer for so long is gone or hostile.
const WRITE_STALL: Duration = Duration::from_secs(20);

/// How long answers under way may take after the node was told to stop: over the request
/// timeout, under the 30 s that service managers wait before they kill.
const DRAIN: Duration = Duration::from_secs(20);

/// HTTP/2 streams open at once on one connection: what one gateway keeps in flight.
const STREAMS_MAX: u32 = 128;

/// HTTP/2 streams that a peer reset before they were served (rapid reset, CVE-2023-44487).
const RESET_STREAMS_MAX: usize = 20;

/// HTTP/2 streams that we reset because of the peer's errors (CVE-2025-8671).
const ERROR_STREAMS_MAX: usize = 64;

/// HTTP/2 pings find a peer that vanished without a FIN, well before the idle time.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// A ping not answered for so long means that the peer is gone.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after the system ran out of sockets or memory, so that the accept loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The limits of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of request line and headers; at least 8 KiB, which the HTTP library demands.
    pub header_bytes_max: usize,
    /// Bytes of a request body.
    pub body_bytes_max: usize,
    /// Connections open at once, handshakes included; more are closed at once.
    pub connections_max: usize,
    /// Time for a TLS handshake.
    pub handshake: Duration,
    /// Time from the first byte of a request to the end of its headers.
    pub header_read: Duration,
    /// Time from the end of the headers to the end of the body.
    pub body_read: Duration,
    /// Time without a request in progress after which a connection is closed; an answer must have
    /// been taken within it.
    pub idle: Duration,
    /// Time without progress while an answer is written.
    pub write_stall: Duration,
    /// Time for answers under way once the listener stops.
    pub drain: Duration,
    /// HTTP/2 streams open at once on one connection.
    pub streams_max: u32,
    /// HTTP/2 streams reset by the peer before they were served.
    pub reset_streams_max: usize,
    /// HTTP/2 streams reset by us because of the peer's errors.
    pub error_streams_max: usize,
    /// Time between HTTP/2 pings.
    pub ping_interval: Duration,
    /// Time for the answer to a ping.
    pub ping_timeout: Duration,
    /// Pause after `accept` failed for want of resources.
    pub accept_pause: Duration,
}

impl Limits {
    /// The limits of a public listener.
    #[must_use]
    pub const fn public() -> Self {
        Self {
            header_bytes_max: HEADER_BYTES_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            connections_max: CONNECTIONS_MAX,
            handshake: HANDSHAKE,
            header_read: HEADER_READ,
            body_read: BODY_READ,
            idle: IDLE,
            write_stall: WRITE_STALL,
            drain: DRAIN,
            streams_max: STREAMS_MAX,
            reset_streams_max: RESET_STREAMS_MAX,
            error_streams_max: ERROR_STREAMS_MAX,
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            accept_pause: ACCEPT_PAUSE,
        }
    }
}
