//! How the HTTP library is set up: which of our limits it enforces, and where.

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;

use crate::net::limits::Limits;

/// The HTTP library's smallest read buffer; it panics on less.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// HTTP/2 flow control of one stream: a whole form, without waiting for a window update.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// HTTP/2 flow control of one connection: sixteen forms under way.
const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;

/// Bytes of an answer that wait in one HTTP/2 stream.
const STREAM_SEND_BYTES_MAX: usize = 64 * 1024;

/// HTTP/1 and HTTP/2 within `limits`.
pub(crate) fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `Activity` bounds heads without a timer for each, and lets connections idle longer.
        .header_read_timeout(None)
        .max_buf_size(limits.header_bytes_max.max(BUFFER_BYTES_MIN));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams_max)
        .max_pending_accept_reset_streams(limits.reset_streams_max)
        .max_local_error_reset_streams(limits.error_streams_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_SEND_BYTES_MAX)
        .keep_alive_interval(limits.ping_interval)
        .keep_alive_timeout(limits.ping_timeout);
    builder
}
