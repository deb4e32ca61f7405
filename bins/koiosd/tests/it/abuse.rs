//! Clients that mean no good: they are cut off or refused, and a good client is answered all the while.
//!
//! Nothing here looks at how long something takes. Figures go to standard error (`--nocapture`).

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    daemon::{ADMIN, Daemon, Setup},
    http::{multipart, raw},
};

/// Generous: a wait that long is a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a bad client sends first.
const HALF_A_HEAD: &str = "GET /api/v1/certificates HTTP/1.1\r\nHost: x\r\nX-A: ";

fn impatient() -> Setup {
    Setup::empty().with_environment("KOIOS_CLIENT_TIMEOUT_SECONDS", "2")
}

/// Connects from any address of the loopback network.
fn connect_from(source: [u8; 4], daemon: &Daemon) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::from(source), 0))).expect("an address");
        socket.connect(daemon.address()).await.expect("a connection").into_std().expect("a stream")
    });
    stream.set_nonblocking(false).expect("a blocking stream");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// What comes until the daemon ends the connection; panics when it does not.
#[track_caller]
fn until_cut_off(mut stream: &TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
        Err(error) => panic!("{error}: {}", String::from_utf8_lossy(&answer)),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a byte again and again until the daemon ends the connection; answers what it said.
#[track_caller]
fn drip(stream: TcpStream) -> String {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = &stream;
            let started = Instant::now();
            while !over.load(Ordering::Relaxed) && writer.write_all(b"a").is_ok() {
                assert!(started.elapsed() < PATIENCE, "it may drip for ever");
                thread::sleep(Duration::from_millis(50));
            }
        });
        let said = until_cut_off(&stream);
        over.store(true, Ordering::Relaxed);
        said
    })
}

/// A client as there should be, all of whose calls are answered.
#[track_caller]
fn good_client(daemon: &Daemon, calls: usize) {
    for _ in 0..calls {
        assert_eq!(daemon.get("certificates").status, 200);
    }
}

/// A figure of `/proc/<pid>/status`, in kB.
fn memory(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn sockets(daemon: &Daemon) -> usize {
    let Ok(entries) = fs::read_dir(format!("/proc/{}/fd", daemon.pid())) else { return 0 };
    let targets = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn five_hundred_half_requests_hold_up_nobody_and_are_cut_off() {
    let daemon = impatient()
        .with_environment("KOIOS_MAX_CONNECTIONS", "2000")
        .with_environment("KOIOS_MAX_CONNECTIONS_PER_ADDRESS", "1000")
        .start();
    good_client(&daemon, 1);
    let before = memory(&daemon);
    let bad: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = connect_from([127, 0, 0, 2], &daemon);
            stream.write_all(HALF_A_HEAD.as_bytes()).unwrap();
            stream
        })
        .collect();
    let during = memory(&daemon);
    good_client(&daemon, 200);
    let (mut silent, mut told) = (0, 0);
    for stream in &bad {
        match until_cut_off(stream) {
            said if said.is_empty() => silent += 1,
            said => {
                assert!(said.starts_with("HTTP/1.1 408"), "{said}");
                told += 1;
            }
        }
    }
    good_client(&daemon, 1);
    let after = memory(&daemon);
    eprintln!(
        "500 half requests: {told} answered 408, {silent} closed; RSS {before} / {during} / {after} kB before / with / after"
    );
}

#[test]
fn dripped_heads_are_cut_off_the_first_one_and_any_later_one() {
    let daemon = impatient().start();
    let mut first = connect_from([127, 0, 0, 1], &daemon);
    first.write_all(HALF_A_HEAD.as_bytes()).unwrap();
    assert!(drip(first).starts_with("HTTP/1.1 408"));

    // A whole request first: the connection is known as a good one then.
    let mut second = connect_from([127, 0, 0, 1], &daemon);
    write!(second, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n{HALF_A_HEAD}").unwrap();
    let said = drip(second);
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    good_client(&daemon, 1);
}

#[test]
fn dripped_bodies_end_in_a_problem() {
    let daemon = impatient().start();
    for (path, media_type, begin) in [
        ("devices", "application/json", "{\"name\": \""),
        (
            "certificates/upload",
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n",
        ),
    ] {
        let mut stream = connect_from([127, 0, 0, 1], &daemon);
        write!(
            stream,
            "POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: {media_type}\r\nContent-Length: 100000\r\n\r\n{begin}"
        )
        .unwrap();
        let said = drip(stream);
        assert!(said.starts_with("HTTP/1.1 400") && said.contains("did not come within 2 seconds"), "{said}");
    }
    assert_eq!(daemon.get("devices").expect(200)["total"], 0);
}

#[test]
fn who_never_reads_the_answers_is_cut_off() {
    let daemon = impatient().start();
    good_client(&daemon, 1);
    let (before, memory_before) = (sockets(&daemon), memory(&daemon));
    // Many requests for the longest answer there is, in one go, until nothing more is taken.
    let stream = connect_from([127, 0, 0, 1], &daemon);
    stream.set_nonblocking(true).unwrap();
    let requests = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
    let mut rest = requests.as_bytes();
    let started = Instant::now();
    let mut most = 0;
    loop {
        match (&stream).write(rest) {
            Ok(taken) => rest = &rest[taken..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
        most = most.max(memory(&daemon));
        // Cut off, without one byte read here.
        if sockets(&daemon) <= before && started.elapsed() > Duration::from_millis(500) {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "{} sockets, {before} before", sockets(&daemon));
        thread::sleep(Duration::from_millis(20));
    }
    good_client(&daemon, 1);
    eprintln!(
        "2000 answers that nobody reads: RSS {memory_before} / {most} / {} kB before / most / after",
        memory(&daemon)
    );
}

#[test]
fn one_address_has_so_many_connections_and_others_have_their_own() {
    let daemon = Setup::empty().with_environment("KOIOS_MAX_CONNECTIONS_PER_ADDRESS", "8").start();
    let held: Vec<_> = (0..8)
        .map(|_| {
            let mut stream = connect_from([127, 0, 0, 2], &daemon);
            // Who was answered has its place.
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"}") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                answer.extend_from_slice(&byte);
            }
            stream.write_all(HALF_A_HEAD.as_bytes()).unwrap();
            stream
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(until_cut_off(&connect_from([127, 0, 0, 2], &daemon)), "");
    }
    good_client(&daemon, 20);
    assert_eq!(daemon.log().matches("as many connections as it may have").count(), 1);
    drop(held);
    // The places are free again.
    let started = Instant::now();
    loop {
        let mut stream = connect_from([127, 0, 0, 2], &daemon);
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        if until_cut_off(&stream).starts_with("HTTP/1.1 200") {
            break;
        }
        assert!(started.elapsed() < PATIENCE);
    }
}

#[test]
fn when_every_connection_is_taken_a_good_client_waits_and_is_answered() {
    let daemon = impatient().with_environment("KOIOS_MAX_CONNECTIONS", "16").start();
    let bad: Vec<_> = (0..100u8)
        .map(|number| {
            let mut stream = connect_from([127, 0, 1, number], &daemon);
            stream.write_all(HALF_A_HEAD.as_bytes()).unwrap();
            stream
        })
        .collect();
    good_client(&daemon, 5);
    drop(bad);
    good_client(&daemon, 5);
}

#[test]
fn handshakes_that_do_not_go_on_are_cut_off() {
    let daemon = impatient().with_environment("KOIOS_TLS__SELF_SIGNED", "true").start();
    let trusted = daemon.data_dir().join("tls/certificate.pem");
    let good = || {
        use crate::tls_client::TlsClient;
        let client = TlsClient::connect(daemon.address(), "localhost", &trusted, &[&rustls::version::TLS13]);
        assert!(client.unwrap().ask("/healthz", "").unwrap().starts_with("http/1.1 200"));
    };
    good();
    let before = memory(&daemon);
    let bad: Vec<_> = (0..200u8)
        .map(|number| {
            let mut stream = connect_from([127, 0, 0, 2], &daemon);
            // Nothing, the beginning of a ClientHello, or nonsense.
            let begin: &[u8] =
                [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/1.1\r\n\r\n"]
                    [usize::from(number % 3)];
            stream.write_all(begin).unwrap();
            stream
        })
        .collect();
    for _ in 0..20 {
        good();
    }
    for stream in &bad {
        assert!(!until_cut_off(stream).contains("HTTP/1.1"));
    }
    good();
    eprintln!("200 handshakes that do not go on: RSS {before} / {} kB before / after", memory(&daemon));
}

#[test]
fn heads_that_are_too_long_or_too_many_are_refused() {
    let daemon = Setup::empty().start();
    good_client(&daemon, 1);
    let before = memory(&daemon);
    let get = |path: &str, headers: &str| {
        let answer = raw(
            daemon.address(),
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").as_bytes(),
        );
        answer.split_whitespace().nth(1).unwrap_or("closed").to_owned()
    };
    let long = |length: usize| "x".repeat(length);
    for (what, status, expected) in [
        ("one header of 300 KB", get("/healthz", &format!("X-A: {}\r\n", long(300_000))), "431"),
        ("a name of 200 KB", get("/healthz", &format!("{}: a\r\n", long(200_000))), "431"),
        ("3,000 headers", get("/healthz", &"X-A: b\r\n".repeat(3_000)), "431"),
        ("100 headers", get("/healthz", &"X-A: b\r\n".repeat(100)), "431"),
        ("90 headers", get("/healthz", &"X-A: b\r\n".repeat(90)), "200"),
        ("a path of 200 KB", get(&format!("/{}", long(200_000)), ""), "431"),
        ("a path of 70 KB", get(&format!("/{}", long(70_000)), ""), "400"),
        ("a path of 60 KB", get(&format!("/{}", long(60_000)), ""), "404"),
        (
            "a query of 60 KB",
            get(
                &format!("/api/v1/certificates?q={}", long(60_000)),
                &format!("Authorization: Bearer {ADMIN}\r\n"),
            ),
            "200 or 422",
        ),
        (
            "a token of 100 KB",
            get("/api/v1/certificates", &format!("Authorization: Bearer {}\r\n", long(100_000))),
            "401",
        ),
        ("a folded header", get("/healthz", "X-A: a\r\n b\r\n"), "400"),
        ("a blank before the colon", get("/healthz", "X-A : a\r\n"), "400"),
        ("NUL in a value", get("/healthz", "X-A: a\0b\r\n"), "400"),
    ] {
        eprintln!("{what}: {status}");
        assert!(expected.contains(&status), "{what}: {status}, not {expected}");
    }
    // Pieces of a head, again and again: the rest of one is never the start of another.
    for _ in 0..200 {
        let answer = raw(
            daemon.address(),
            format!("GET /healthz HTTP/1.1\r\nX-A: {}\r\n\r\n", long(140_000)).as_bytes(),
        );
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
    good_client(&daemon, 1);
    eprintln!("200 heads of 140 KB: RSS {before} / {} kB before / after", memory(&daemon));
}

#[test]
fn two_lengths_and_other_smuggling_end_the_connection() {
    let daemon = Setup::empty().start();
    let hidden = "DELETE /api/v1/hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 50\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: -1\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let request = format!(
            "POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\n{framing}\r\n0\r\n\r\n{hidden}"
        );
        let answer = raw(daemon.address(), request.as_bytes());
        // One refusal, or a refusal of each: never the hidden request carried out as somebody's.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{framing}: {answer}");
        assert!(!answer.contains("HTTP/1.1 2") && !answer.contains("HTTP/1.1 5"), "{framing}: {answer}");
        assert!(!daemon.log().contains("/api/v1/hidden"), "{framing}: {answer}");
    }
    good_client(&daemon, 1);
}

#[test]
fn paths_lead_nowhere_but_to_routes() {
    let daemon = Setup::empty().start();
    let certificate = daemon.generate("A");
    let id = certificate["id"].as_str().unwrap();
    let paths = [
        "/api/v1/../../../../etc/passwd".to_owned(),
        "/api/v1/..%2f..%2f..%2fetc/passwd".to_owned(),
        "/docs/../../../../etc/passwd".to_owned(),
        "/docs/..%2f..%2f..%2f..%2fetc%2fpasswd".to_owned(),
        "/docs/%2e%2e/%2e%2e/%2e%2e/etc/passwd".to_owned(),
        "/docs//etc/passwd".to_owned(),
        "//etc/passwd".to_owned(),
        "/api/v1/certificates/%00".to_owned(),
        format!("/api/v1/certificates/{id}%00"),
        format!("/api/v1/certificates/{id}/../{id}/private-key.pem"),
        format!("/api/v1/certificates/{id}%2fprivate-key.pem"),
        format!("/api/v1/certificates/{id}/%70rivate-key.pem%00.html"),
        format!("/api//v1/certificates/{id}"),
        format!("/api/v1//certificates/{id}"),
        format!("/API/V1/certificates/{id}"),
        format!("/api/v1/certificates/{id}/"),
        format!("/api/v1/certificates/{id};x"),
        "/api/v1/certificates/%c0%ae%c0%ae%c0%af".to_owned(),
        "/api/v1/certificates/%ff%fe".to_owned(),
        "/api/v1/certificates/%".to_owned(),
        "/api/v1/certificates/%zz".to_owned(),
        "/api/v1\\certificates".to_owned(),
        "/api/v1/certificates/\u{202e}".to_owned(),
        "http://evil.example/etc/passwd".to_owned(),
        "*".to_owned(),
        "evil.example:80".to_owned(),
    ];
    for path in &paths {
        for token in [format!("Authorization: Bearer {ADMIN}\r\n"), String::new()] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{token}Connection: close\r\n\r\n");
            let answer = raw(daemon.address(), request.as_bytes());
            let status = answer.split_whitespace().nth(1).unwrap_or("closed").to_owned();
            assert!(["400", "401", "404", "405", "422"].contains(&&*status), "{path}: {answer}");
            assert!(!answer.contains("root:") && !answer.contains("PRIVATE KEY"), "{path}: {answer}");
            // What is not HTTP as it should be is refused before there is a request that could have a problem.
            if status != "400" && !path.starts_with("/docs") {
                assert!(answer.contains("application/problem+json"), "{path}: {answer}");
            }
        }
    }
    // The absolute form is the same request (RFC 9112 §3.2.2), and no other method than the routes' is known.
    let absolute = "GET http://evil.example/healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(raw(daemon.address(), absolute.as_bytes()).starts_with("HTTP/1.1 200"));
    for method in ["CONNECT", "TRACE", "TRACK", "PROPFIND", "get", "X"] {
        for target in ["/healthz", "/api/v1/certificates", "/nowhere"] {
            let request = format!(
                "{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nCookie: a=b\r\nConnection: close\r\n\r\n"
            );
            let answer = raw(daemon.address(), request.as_bytes());
            let status = answer.split_whitespace().nth(1).unwrap_or("closed").to_owned();
            assert!(["400", "404", "405"].contains(&&*status), "{method} {target}: {answer}");
            assert!(!answer.contains("Cookie"), "{answer}");
        }
    }
    assert_eq!(daemon.get("certificates").expect(200)["total"], 1);
}

#[test]
fn bodies_that_unfold_or_count_high_are_refused_and_cost_no_memory() {
    let daemon = Setup::empty().start();
    good_client(&daemon, 1);
    let before = memory(&daemon);
    let post = |path: &str, media_type: &str, body: Vec<u8>| {
        daemon.call("POST", path).bytes(media_type, body).send()
    };

    // What would be small packed and large unpacked is not unpacked at all.
    for coding in ["gzip", "br", "deflate", "zstd", "x-gzip", "gzip, gzip"] {
        for (path, media_type) in
            [("devices", "application/json"), ("certificates/upload", "multipart/form-data; boundary=b")]
        {
            let answer = daemon
                .call("POST", path)
                .header("Content-Encoding", coding)
                .bytes(media_type, b"\x1f\x8b\x08".repeat(100))
                .send();
            answer.expect_problem(415, "unsupported_media_type");
        }
    }

    let nested =
        |open: &str, close: &str, depth: usize| (open.repeat(depth) + &close.repeat(depth)).into_bytes();
    for body in [
        nested("[", "]", 100_000),
        nested("{\"a\":", "}", 100_000),
        b"[".repeat(500_000),
        b"{\"a\":".repeat(100_000),
    ] {
        post("devices", "application/json", body).expect_problem(400, "malformed_request");
    }
    let many: String = (0..50_000).map(|number| format!("\"k{number}\":0,")).collect();
    let answer = post("devices", "application/json", format!("{{{many}\"z\":0}}").into_bytes());
    answer.expect_problem(422, "invalid_field");
    let numbers = format!("{{\"scan_rate_seconds\": 1e{}}}", "9".repeat(100_000));
    assert!((400..500).contains(&post("devices", "application/json", numbers.into_bytes()).status));
    assert_eq!(post("devices", "application/json", vec![b' '; (1 << 20) + 1]).status, 413);

    let fields: Vec<(String, &[u8])> = (0..3_000).map(|number| (format!("f{number}"), &b""[..])).collect();
    let fields: Vec<(&str, &[u8])> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let parts = multipart("b", &fields);
    assert!(parts.len() < 256 << 10);
    post("certificates/upload", "multipart/form-data; boundary=b", parts)
        .expect_problem(422, "invalid_field");
    let form = |certificate: &[u8]| {
        let body = multipart("b", &[("name", b"A"), ("certificate", certificate)]);
        post("certificates/upload", "multipart/form-data; boundary=b", body)
    };
    let blocks = |label: &str, count: usize| {
        format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n").repeat(count)
    };
    for body in [
        blocks("CERTIFICATE", 3_000).into_bytes(),
        blocks("PRIVATE KEY", 3_000).into_bytes(),
        blocks("X509 CRL", 3_000).into_bytes(),
        "-----BEGIN CERTIFICATE-----\n".repeat(8_000).into_bytes(),
        // Indefinite lengths and sequences in sequences, as deep as they go.
        b"\x30\x80".repeat(100_000),
        [b"\x30\x84\x7f\xff\xff\xff".as_slice(), &[0; 1000]].concat(),
    ] {
        let answer = form(&body);
        assert_eq!(answer.status, 422, "{}", answer.text());
    }
    assert_eq!(
        post("certificates/upload", "multipart/form-data; boundary=b", vec![b'x'; (256 << 10) + 1]).status,
        413
    );

    // One byte a chunk.
    let chunks = "1\r\n \r\n".repeat(200_000);
    let request = format!(
        "POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}0\r\n\r\n"
    );
    assert!(raw(daemon.address(), request.as_bytes()).starts_with("HTTP/1.1 400"));
    // A length that overflows is none.
    for length in ["18446744073709551616", "99999999999999999999999", "9223372036854775807"] {
        let request = format!(
            "POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{{}}"
        );
        let answer = raw(daemon.address(), request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 413") || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(daemon.get("devices").expect(200)["total"], 0);
    eprintln!("bodies that unfold: RSS {before} / {} kB before / after", memory(&daemon));
}

#[test]
fn clients_that_go_away_in_the_middle_leave_nothing_open() {
    let daemon = Setup::empty().start();
    good_client(&daemon, 1);
    let before = sockets(&daemon);
    for number in 0..300 {
        let mut stream = TcpStream::connect(daemon.address()).unwrap();
        let whole = format!(
            "POST /api/v1/devices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        );
        let _ = stream.write_all(&whole.as_bytes()[..whole.len() * (number % 10) / 10]);
        let _ = stream.shutdown(if number % 2 == 0 { Shutdown::Both } else { Shutdown::Write });
    }
    let started = Instant::now();
    while sockets(&daemon) > before {
        assert!(started.elapsed() < PATIENCE, "{} sockets, {before} before", sockets(&daemon));
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(daemon.post("devices", &json!({ "name": "A", "endpoint_url": "opc.tcp://a" })).status, 201);
}
