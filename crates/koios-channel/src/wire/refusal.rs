use super::ByteReader;
use crate::StatusCode;
use crate::error::{Failure, Fault, bounded_text};

/// Reads an ERR message (OPC 10000-6 §7.1.2.5).
///
/// node-opcua before 2.182 writes the plain body of an `OpenSecureChannel` answer behind an ERR header: channel id,
/// policy URI, certificate, thumbprint, sequence header, then an unencrypted `ServiceFault`. Its first field is random,
/// so it reads as any status, good ones included. The second field, a policy URI where a reason belongs, gives it away.
pub(crate) fn refusal(body: &[u8]) -> Failure {
    let mut reader = ByteReader::new(body);
    let Ok(code) = reader.u32() else {
        return Failure::peer(Fault::MalformedErr, None, None);
    };
    let status = StatusCode(code);
    let after_code = reader.rest();
    let reason = reader.byte_string(MAX_REASON_LEN).ok().map(String::from_utf8_lossy);
    if reason.as_deref().is_some_and(|text| text.starts_with(POLICY_URI_PREFIX)) {
        return match misplaced_service_fault(after_code) {
            Ok((id, status)) if id == SERVICE_FAULT_ID && status.is_bad() => {
                Failure::peer(Fault::MalformedErr, Some(status), None)
            }
            _ => Failure::peer(Fault::MalformedErr, None, None),
        };
    }
    let reason = reason.and_then(|text| bounded_text(&text));
    if status.is_bad() {
        Failure::peer(Fault::Err, Some(status), reason)
    } else {
        // No server has a reason to refuse with a good code; the number means nothing.
        Failure::peer(Fault::MalformedErr, None, reason)
    }
}

/// The type and the service result of the answer behind a misplaced asymmetric header.
fn misplaced_service_fault(body: &[u8]) -> Result<([u8; 4], StatusCode), Fault> {
    let mut reader = ByteReader::new(body);
    for _ in ["policy URI", "certificate", "thumbprint"] {
        reader.byte_string(MAX_FIELD_LEN)?;
    }
    let _sequence_number = reader.u32()?;
    let _request_id = reader.u32()?;
    let id = reader.u32()?.to_le_bytes();
    reader.skip(TIMESTAMP_LEN)?;
    let _request_handle = reader.u32()?;
    Ok((id, StatusCode(reader.u32()?)))
}

const POLICY_URI_PREFIX: &str = "http://opcfoundation.org/UA/SecurityPolicy#";
/// OPC 10000-6 §7.1.2.5: a reason has at most 4,096 bytes.
const MAX_REASON_LEN: usize = 4096;
/// Of a field in a misplaced header; a certificate chain fits.
const MAX_FIELD_LEN: usize = 65_536;
/// `ServiceFault_Encoding_DefaultBinary`, i=397, as a four-byte node id.
const SERVICE_FAULT_ID: [u8; 4] = [0x01, 0x00, 0x8d, 0x01];
/// A `DateTime` in bytes.
const TIMESTAMP_LEN: usize = 8;

#[cfg(test)]
mod tests {
    use super::super::{put_byte_string, put_u32};
    use super::*;
    use crate::Origin;

    fn err(code: u32, reason: Option<&[u8]>) -> Vec<u8> {
        let mut body = Vec::new();
        put_u32(&mut body, code);
        put_byte_string(&mut body, reason);
        body
    }

    /// What node-opcua 2.157 sends for an untrusted certificate.
    fn misplaced(status: u32) -> Vec<u8> {
        let uri = b"http://opcfoundation.org/UA/SecurityPolicy#Basic256Sha256";
        let mut body = err(0x8000_0007, Some(uri));
        put_byte_string(&mut body, Some(&[0x30; 900]));
        put_byte_string(&mut body, Some(&[7; 20]));
        put_u32(&mut body, 1);
        put_u32(&mut body, 1);
        body.extend(SERVICE_FAULT_ID);
        body.extend([0; TIMESTAMP_LEN]);
        put_u32(&mut body, 1);
        put_u32(&mut body, status);
        body.extend([0; 8]);
        body
    }

    #[test]
    fn a_refusal_says_code_and_text_in_the_peers_name() {
        let failure = refusal(&err(0x8013_0000, Some(b"certificate\x07 \n unknown")));
        assert_eq!(failure.origin, Origin::Peer);
        assert_eq!(failure.fault, Fault::Err);
        assert_eq!(failure.status, Some(StatusCode::BAD_SECURITY_CHECKS_FAILED));
        assert_eq!(failure.reason.as_deref(), Some("certificate    unknown"));
        assert_eq!(refusal(&err(0x8013_0000, None)).reason, None);
    }

    #[test]
    fn the_code_of_an_old_node_opcua_is_found_behind_the_misplaced_header() {
        let failure = refusal(&misplaced(0x8014_0000));
        assert_eq!((failure.fault, failure.status), (Fault::MalformedErr, Some(StatusCode(0x8014_0000))));
        let mut cut = misplaced(0x8014_0000);
        cut.truncate(900);
        let failure = refusal(&cut);
        assert_eq!((failure.fault, failure.status), (Fault::MalformedErr, None));
        assert_eq!(refusal(&misplaced(0)).status, None);
    }

    #[test]
    fn a_good_code_is_never_taken_for_one() {
        let failure = refusal(&err(0, Some(b"all fine")));
        assert_eq!((failure.fault, failure.status), (Fault::MalformedErr, None));
        assert_eq!(failure.reason.as_deref(), Some("all fine"));
        assert_eq!(refusal(b"\0\0").fault, Fault::MalformedErr);
    }

    #[test]
    fn a_reason_that_is_no_utf8_or_too_long_is_harmless() {
        let failure = refusal(&err(0x8002_0000, Some(b"\xff\xfe")));
        assert_eq!(failure.status, Some(StatusCode::BAD_INTERNAL_ERROR));
        let failure = refusal(&err(0x8002_0000, Some(&[b'x'; 5000])));
        assert_eq!((failure.fault, failure.reason), (Fault::Err, None));
    }
}
