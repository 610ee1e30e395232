//! The serve loop on real sockets.
