//! Connections with more streams than are allowed, and streams on which nothing comes.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;

use super::{
    federation::Federation,
    raw::{append, client},
};
use crate::peer::testing::node_id;

/// A frame of HTTP/2 (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers of a call (RFC 7541): two of the static table, two literals.
fn headers() -> Vec<u8> {
    let path = b"/exequatur.peer.v1.Peer/AppendStream";
    let content = b"application/grpc";
    let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
    [
        &[0x83, 0x86, 0x04, length(path)],
        &path[..],
        &[0x0f, 0x10, length(content)],
        &content[..],
        &[0x01, 4],
        b"node",
    ]
    .concat()
}

#[tokio::test]
async fn ten_thousand_streams_on_one_connection_harm_that_connection_alone() {
    let federation = Federation::start(&[1]).await;
    let io = federation.members[&2].node.dialer().dial(node_id(3)).await.unwrap();
    let (mut read, mut write) = tokio::io::split(io);
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    flood.extend(frame(4, 0, 0, &[]));
    for number in 0..10_000_u32 {
        flood.extend(frame(1, 4, 2 * number + 1, &headers()));
    }
    let writing = async {
        let _cut = write.write_all(&flood).await;
        let _cut = write.flush().await;
    };
    let (mut answers, mut resets) = (0_u32, 0_u32);
    // Ends when the server has ended the connection; its farewell may be lost with what it has not
    // read.
    let reading = async {
        let mut head = [0; 9];
        while read.read_exact(&mut head).await.is_ok() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            if read.read_exact(&mut payload).await.is_err() {
                break;
            }
            match head[3] {
                1 => answers += 1,
                3 => resets += 1,
                _ => {}
            }
        }
    };
    let both = async { tokio::join!(writing, reading) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("the connection ends");
    assert!(answers <= 32 && resets < 1_000, "{answers} answered, {resets} reset");

    let mut client = client(&federation.members[&2].node, node_id(3));
    client.append(append(5, 2, &[])).await.unwrap();
}

#[tokio::test]
async fn streams_on_which_nothing_comes_end_and_do_not_hold_up_other_connections() {
    let federation = Federation::start(&[1]).await;
    let mut idle = client(&federation.members[&2].node, node_id(3));
    let mut open = Vec::new();
    for _ in 0..32 {
        let nothing = futures_util::stream::pending();
        open.push(idle.append_stream(nothing).await.unwrap().into_inner());
    }
    let mut other = client(&federation.members[&2].node, node_id(3));
    other.append(append(5, 2, &[])).await.unwrap();
    // All places of the first connection are taken until the streams end for want of an append.
    for mut stream in open {
        let end = stream.message().await;
        assert!(matches!(end, Ok(None)), "{:?}", end.map_err(|s| (s.code(), Code::Ok)));
    }
    idle.append(append(5, 2, &[])).await.unwrap();
}
