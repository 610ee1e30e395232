//! Addresses for programs that the tests start.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// A loopback port that nobody holds now, and that nobody is given before the region binds it: it lies
/// below the ports that the system hands out, among those of this process.
pub(crate) fn free_port() -> SocketAddr {
    const FIRST: u32 = 12_000;
    const OF_ONE_PROCESS: u32 = 20;
    const PROCESSES: u32 = 1_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = FIRST + std::process::id() % PROCESSES * OF_ONE_PROCESS;
    for _ in 0..OF_ONE_PROCESS {
        let port = own + NEXT.fetch_add(1, Ordering::Relaxed) % OF_ONE_PROCESS;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("ports {own} to {} are all held", own + OF_ONE_PROCESS);
}
