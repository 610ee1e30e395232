//! Reading an HTTP/1.1 response with as little work as is safe: the status and the length of the
//! body (RFC 9112 sections 4 and 6.3). The generator must be cheaper than what it measures.

/// Longest head that is read: ours have some 300 bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Longest body that is read: a token has some 1,200 bytes.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a response's head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The status code.
    pub(crate) status: u16,
    /// Length of the head with its empty line.
    pub(crate) bytes: usize,
    /// Length of the body.
    pub(crate) body_bytes: usize,
}

/// Why a response cannot be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResponseError {
    /// No HTTP/1.1 status line.
    #[error("the answer does not begin with a status line of HTTP/1.1")]
    StatusLine,
    /// No `Content-Length`, or one that is no number.
    #[error("the answer has no acceptable content-length")]
    ContentLength,
    /// Head or body are longer than anything the node should send.
    #[error("the answer has a head over {HEAD_BYTES_MAX} or a body over {BODY_BYTES_MAX} bytes")]
    TooLarge,
}

/// Reads the head at the beginning of `received`; `None` while it is not complete.
pub(crate) fn head(received: &[u8]) -> Result<Option<Head>, ResponseError> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if received.len() > HEAD_BYTES_MAX {
            Err(ResponseError::TooLarge)
        } else {
            Ok(None)
        };
    };
    let lines = received.get(..end).unwrap_or_default();
    let status = lines
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(number)
        .and_then(|status| u16::try_from(status).ok())
        .ok_or(ResponseError::StatusLine)?;
    let body_bytes = lines
        .split(|byte| *byte == b'\n')
        .find_map(content_length)
        .and_then(number)
        .ok_or(ResponseError::ContentLength)?;
    if body_bytes > BODY_BYTES_MAX {
        return Err(ResponseError::TooLarge);
    }
    Ok(Some(Head { status, bytes: end + 4, body_bytes }))
}

fn content_length(line: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"content-length:";
    let name = line.get(..NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then(|| line.get(NAME.len()..).unwrap_or_default())
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-LENGTH:  4 \r\n\r\n{\"a\"";

    #[test]
    fn status_and_lengths_are_read() {
        let read = head(ANSWER).unwrap().unwrap();
        assert_eq!((read.status, read.body_bytes), (200, 4));
        assert_eq!(&ANSWER[read.bytes..], b"{\"a\"");
    }

    #[test]
    fn a_head_that_has_not_arrived_yet_is_waited_for() {
        let complete = ANSWER.len() - 4;
        for received in 0..complete {
            assert_eq!(head(&ANSWER[..received]), Ok(None), "{received}");
        }
        assert!(head(&ANSWER[..complete]).unwrap().is_some());
    }

    #[test]
    fn what_cannot_be_delimited_is_refused() {
        use ResponseError::{ContentLength, StatusLine, TooLarge};
        for (answer, fault) in [
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", ContentLength),
            ("HTTP/1.1 200 OK\r\ncontent-length: four\r\n\r\n", ContentLength),
            ("HTTP/1.1 200 OK\r\ncontent-length: -4\r\n\r\n", ContentLength),
            ("HTTP/1.1 2x0 OK\r\ncontent-length: 4\r\n\r\n", StatusLine),
            ("HTTP/2 200\r\ncontent-length: 4\r\n\r\n", StatusLine),
            ("\r\n\r\n", StatusLine),
            ("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", TooLarge),
        ] {
            assert_eq!(head(answer.as_bytes()), Err(fault), "{answer}");
        }
        assert_eq!(head(&[b'x'; HEAD_BYTES_MAX + 1]), Err(TooLarge));
    }
}
