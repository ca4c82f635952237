//! Clients that are gone without a word.

use rustix::net::sockopt;
use tokio::net::TcpStream;

/// How long a client may leave what was sent to it unacknowledged, its machine gone or its window shut.
const SILENCE_MS: u32 = 60_000;

/// Small messages go at once, and a connection ends by itself when nobody is at its other end any longer. What the system
/// does not know of is done without.
pub(super) fn limit(stream: &TcpStream) {
    drop(stream.set_nodelay(true));
    sockopt::set_socket_keepalive(stream, true).unwrap_or_default();
    #[cfg(target_os = "linux")]
    sockopt::set_tcp_user_timeout(stream, SILENCE_MS).unwrap_or_default();
}
