//! What answers on a port where an OPC UA server was expected, by its first bytes.

/// A name for what those bytes look like, if they look like anything known.
pub(super) fn recognise(first_bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 13] = [
        (b"HTTP/", "an HTTP server"),
        (b"SSH-", "an SSH server"),
        (b"\x15\x03", "a TLS server"),
        (b"\x16\x03", "a TLS server"),
        (b"RHE", "an OPC UA server that waits for reverse connections"),
        (b"RFB ", "a VNC server"),
        (b"+OK", "a POP3 server"),
        (b"* OK", "an IMAP server"),
        (b"-ERR", "a Redis server"),
        (b"AMQP", "an AMQP broker"),
        (b"\x20\x02", "an MQTT broker"),
        (b"\x03\x00", "an ISO-on-TCP peer, as Siemens S7 or RDP use it"),
        (b"\xff", "a Telnet server"),
    ];
    let known = KNOWN.iter().find(|(prefix, _)| first_bytes.starts_with(prefix)).map(|&(_, name)| name);
    known.or_else(|| greeting(first_bytes)).or_else(|| markup(first_bytes))
}

// FTP and SMTP greet with 220 (RFC 959 §5.4, RFC 5321 §4.2.3).
fn greeting(first_bytes: &[u8]) -> Option<&'static str> {
    (first_bytes.starts_with(b"220 ") || first_bytes.starts_with(b"220-")).then_some("an FTP or mail server")
}

fn markup(first_bytes: &[u8]) -> Option<&'static str> {
    (first_bytes.trim_ascii_start().first() == Some(&b'<')).then_some("a web server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_protocols_are_named() {
        for (bytes, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "HTTP"),
            (b"SSH-2.0-OpenSSH_9.2", "SSH"),
            (&[0x15, 0x03, 0x01, 0x00, 0x02], "TLS"),
            (b"220 mail.example ESMTP", "mail"),
            (b"<!DOCTYPE HTML>", "web"),
            (b"\n <html>", "web"),
            (b"\xff\xfb\x01", "Telnet"),
        ] {
            assert!(recognise(bytes).is_some_and(|name| name.contains(expected)), "{bytes:?}");
        }
    }

    #[test]
    fn anything_else_stays_unnamed() {
        for bytes in [&b""[..], b"\0\0\0\0", b"ERRF", b"H"] {
            assert_eq!(recognise(bytes), None);
        }
    }
}
