//! The transport seam and the serve loop: TLS, deadlines, limits, graceful stop.
